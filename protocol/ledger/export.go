package ledger

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// exportFormat names the format and its version in the first line.
const exportFormat = "tributary/v1/ledger-export"

// The lines of an export, in order: header, checkpoint, one line per entry, trailer. Fields are written in this order with
// no spaces; a reader accepts a line only if it re-encodes to the same bytes.
type (
	headerLine struct {
		Format  string `json:"format"`
		Origin  string `json:"origin"`
		Entries int64  `json:"entries"`
	}
	checkpointLine struct {
		Checkpoint string `json:"checkpoint"`
	}
	// entryLine: kind and at repeat what the record holds, for people; record is base64 of the encoded entry.
	entryLine struct {
		Index  int64  `json:"index"`
		Kind   string `json:"kind"`
		At     string `json:"at"`
		Record []byte `json:"record"`
	}
	// trailerLine: SHA-256 of all bytes before the line. It finds damage where the log's key isn't at hand; it is no evidence.
	trailerLine struct {
		SHA256 string `json:"sha256"`
	}
)

// WriteExport writes the entries that the signed checkpoint covers as JSON lines: header, checkpoint, entries, trailer. It
// checks each record against its stored hash and the records against the checkpoint's root (ErrTampered names the entry), but
// not the checkpoint's signature. On an error what was written is not an export, and ReadExport refuses it.
func WriteExport(w io.Writer, s Store, checkpoint []byte) error {
	origin, head, err := readCheckpoint(checkpoint)
	if err != nil {
		return fmt.Errorf("export ledger: %w", err)
	}
	stored, err := HeadAt(s, head.Size)
	if err != nil {
		return fmt.Errorf("export ledger: %w", err)
	}
	if stored != head {
		return fmt.Errorf("export ledger: %w: the stored hashes at size %d give another root than the checkpoint (hint: restore the database from its last backup)", ErrTampered, head.Size)
	}
	out := &lineWriter{w: bufio.NewWriter(w), sum: sha256.New()}
	out.line(headerLine{exportFormat, origin, head.Size})
	out.line(checkpointLine{string(checkpoint)})
	var check Memory
	for i := range head.Size {
		record, err := s.ReadEntry(i)
		if err != nil {
			return fmt.Errorf("export ledger: entry %d: %w", i, err)
		}
		leaf, err := s.ReadHashes([]int64{tlog.StoredHashIndex(0, i)})
		if err != nil {
			return fmt.Errorf("export ledger: entry %d: %w", i, err)
		}
		if len(leaf) != 1 || leaf[0] != tlog.RecordHash(record) {
			return fmt.Errorf("export ledger: %w: entry %d differs from its stored hash (hint: restore the database from its last backup)", ErrTampered, i)
		}
		e, err := ParseEntry(record)
		if err != nil {
			return fmt.Errorf("export ledger: entry %d: %w", i, err)
		}
		if err := check.addLeaf(i, leaf[0]); err != nil {
			return fmt.Errorf("export ledger: entry %d: %w", i, err)
		}
		out.line(newEntryLine(i, e, record))
		if out.err != nil {
			return fmt.Errorf("export ledger: %w", out.err)
		}
	}
	if root, err := tlog.TreeHash(head.Size, &check); err != nil || root != head.Root {
		return fmt.Errorf("export ledger: %w: root over the records differs from the checkpoint's at size %d (hint: restore the database from its last backup)", ErrTampered, head.Size)
	}
	out.line(trailerLine{hex.EncodeToString(out.sum.Sum(nil))})
	if out.err == nil {
		out.err = out.w.Flush()
	}
	if out.err != nil {
		return fmt.Errorf("export ledger: %w", out.err)
	}
	return nil
}

func newEntryLine(index int64, e Entry, record []byte) entryLine {
	at := time.UnixMilli(int64(e.AtMs)).UTC().Format("2006-01-02T15:04:05.000Z")
	return entryLine{Index: index, Kind: e.Kind.String(), At: at, Record: record}
}

// addLeaf stores a leaf's hashes without its record, to compute roots.
func (m *Memory) addLeaf(index int64, leaf tlog.Hash) error {
	hashes, err := tlog.StoredHashesForRecordHash(index, leaf, m)
	if err != nil {
		return err
	}
	m.hashes = append(m.hashes, hashes...)
	return nil
}

// lineWriter writes JSON lines, keeps the first error and the digest of what it wrote.
type lineWriter struct {
	w   *bufio.Writer
	sum hash.Hash
	err error
}

func (l *lineWriter) line(v any) {
	if l.err != nil {
		return
	}
	b, err := encodeLine(v)
	if err != nil {
		l.err = err
		return
	}
	l.sum.Write(b)
	_, l.err = l.w.Write(b)
}

func encodeLine(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}
