package ledger

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// maxLineBytes bounds a line of an export: the base64 of the largest record and its other fields. A checkpoint of
// MaxCheckpointBytes with every byte escaped is smaller.
const maxLineBytes = (maxRecordBytes+2)/3*4 + 512

// Export is a ledger read back from a file: all entries up to a checkpoint.
type Export struct {
	Origin     string
	Checkpoint []byte // the signed checkpoint as stored; ReadExport doesn't know the keys, Verify does
	Head       Head   // recomputed from Entries, equal to the checkpoint's
	Entries    []Entry

	tree Memory // hashes only
}

// ReadExport reads a whole export and recomputes the root over its entries. What it returns is complete and undamaged but not
// yet authentic: call Verify with the log's key from the charter. Memory is proportional to what was read, never to a claimed
// size. Errors wrap ErrMalformed, ErrTruncated or ErrTampered, or are r's own.
func ReadExport(r io.Reader) (*Export, error) {
	x, err := readExport(&lineReader{r: bufio.NewReader(r), sum: sha256.New()})
	if err != nil {
		return nil, fmt.Errorf("read ledger export: %w", err)
	}
	return x, nil
}

// HeadAt is the head over the first size entries, or ErrOutOfRange.
func (x *Export) HeadAt(size int64) (Head, error) {
	if size < 0 || size > x.Head.Size {
		return Head{}, fmt.Errorf("head of a ledger export: %w: size %d of %d", ErrOutOfRange, size, x.Head.Size)
	}
	if size == 0 {
		return EmptyHead(), nil
	}
	root, err := tlog.TreeHash(size, &x.tree)
	return Head{Size: size, Root: [32]byte(root)}, err
}

// Verify reports whether the export's checkpoint is signed by exactly the log's key under that origin and the given
// cosigners. An older export that was genuine once passes: compare Head with the last head you know.
func (x *Export) Verify(origin string, pub ed25519.PublicKey, cosigners ...Cosigner) error {
	head, err := VerifyCheckpoint(origin, pub, x.Checkpoint, cosigners...)
	if err != nil {
		return err
	}
	if head != x.Head {
		return fmt.Errorf("verify ledger export: %w: entries and checkpoint have different heads", ErrTampered)
	}
	return nil
}

func readExport(in *lineReader) (*Export, error) {
	var header headerLine
	if err := in.line("header", &header); err != nil {
		return nil, err
	}
	if header.Format != exportFormat {
		return nil, fmt.Errorf("%w: format %.64q, want %q (hint: upgrade if a newer version wrote it)", ErrMalformed, header.Format, exportFormat)
	}
	var cp checkpointLine
	if err := in.line("checkpoint", &cp); err != nil {
		return nil, err
	}
	origin, head, err := readCheckpoint([]byte(cp.Checkpoint))
	if err != nil {
		return nil, err
	}
	if header.Origin != origin || header.Entries != head.Size {
		return nil, fmt.Errorf("%w: header says %d entries of %.64q, checkpoint %d of %.64q", ErrTampered, header.Entries, header.Origin, head.Size, origin)
	}
	x := &Export{Origin: origin, Checkpoint: []byte(cp.Checkpoint), Head: head}
	for i := range head.Size {
		e, leaf, err := in.entry(i)
		if err != nil {
			return nil, err
		}
		if err := x.tree.addLeaf(i, leaf); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		x.Entries = append(x.Entries, e)
	}
	if err := in.trailer(); err != nil {
		return nil, err
	}
	if root, err := tlog.TreeHash(head.Size, &x.tree); err != nil || root != head.Root {
		return nil, fmt.Errorf("%w: root over %d entries differs from the checkpoint's (hint: ask for the export again; if it stays so, records were changed)", ErrTampered, head.Size)
	}
	return x, nil
}

// lineReader reads JSON lines and keeps the digest of those before the last one.
type lineReader struct {
	r   *bufio.Reader
	buf []byte // the last line
	sum hash.Hash
}

// next returns the next line with its newline; the bytes are valid until the next call.
func (l *lineReader) next(what string) ([]byte, error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		l.buf = append(l.buf, part...)
		switch {
		case len(l.buf) > maxLineBytes:
			return nil, fmt.Errorf("%w: %s is longer than %d bytes", ErrMalformed, what, maxLineBytes)
		case err == nil:
			return l.buf, nil
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("%w: at its %s (hint: copy the file again)", ErrTruncated, what)
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
}

// line decodes the next line into v, demanding that v re-encodes to it.
func (l *lineReader) line(what string, v any) error {
	b, err := l.next(what)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrMalformed, what, err)
	}
	if again, err := encodeLine(v); err != nil || !bytes.Equal(again, b) {
		return fmt.Errorf("%w: %s isn't in its canonical form", ErrMalformed, what)
	}
	l.sum.Write(b)
	return nil
}

// entry reads the entry at index and returns it with its leaf hash.
func (l *lineReader) entry(index int64) (Entry, tlog.Hash, error) {
	var got entryLine
	if err := l.line(fmt.Sprintf("entry %d", index), &got); err != nil {
		return Entry{}, tlog.Hash{}, err
	}
	e, err := ParseEntry(got.Record)
	if err != nil {
		return Entry{}, tlog.Hash{}, fmt.Errorf("entry %d: %w", index, err)
	}
	want := newEntryLine(index, e, got.Record)
	if got.Index != want.Index || got.Kind != want.Kind || got.At != want.At {
		return Entry{}, tlog.Hash{}, fmt.Errorf("%w: entry %d is labelled %d %.32q %.32q, its record says %q %q", ErrTampered, index, got.Index, got.Kind, got.At, want.Kind, want.At)
	}
	return e, tlog.RecordHash(got.Record), nil
}

// trailer reads the last line, demanding the digest of all lines before it and the end of the file.
func (l *lineReader) trailer() error {
	want := hex.EncodeToString(l.sum.Sum(nil))
	var got trailerLine
	if err := l.line("trailer", &got); err != nil {
		return err
	}
	if got.SHA256 != want {
		return fmt.Errorf("%w: the file's digest differs from its trailer (hint: copy the file again)", ErrTampered)
	}
	if _, err := l.r.ReadByte(); err == nil {
		return fmt.Errorf("%w: bytes after the trailer", ErrMalformed)
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("after the trailer: %w", err)
	}
	return nil
}
