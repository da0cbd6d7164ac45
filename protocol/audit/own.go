package audit

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// ErrOwn marks a file that isn't a member's own records.
var ErrOwn = errors.New("not a member's own records")

// Own is what a member keeps of the ledger: the last head that it saw, and what it signed for it.
type Own struct {
	Member wire.Member
	Head   ledger.Head
	Words  []OwnWord
}

// OwnWord is one signed object. Acknowledged: the coordinator said that it is in the ledger.
type OwnWord struct {
	Envelope     []byte `json:"object"` // base64
	Acknowledged bool   `json:"acknowledged"`
}

const ownFormat = "tributary-own-records/1"

type ownHeader struct {
	Format  string `json:"format"`
	Member  string `json:"member"` // hexadecimal, as Root
	Entries int64  `json:"entries"`
	Root    string `json:"root"`
	Words   int    `json:"words"`
}

// WriteOwn writes the records as JSON lines: a header, then a line a word.
func WriteOwn(w io.Writer, o *Own) error {
	out := bufio.NewWriter(w)
	e := json.NewEncoder(out)
	if err := e.Encode(ownHeader{ownFormat, hexOf(o.Member[:]), o.Head.Size, hexOf(o.Head.Root[:]), len(o.Words)}); err != nil {
		return err
	}
	for _, word := range o.Words {
		if err := e.Encode(word); err != nil {
			return err
		}
	}
	return out.Flush()
}

// ReadOwn reads what WriteOwn wrote. Errors wrap ErrOwn.
func ReadOwn(data []byte) (*Own, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var h ownHeader
	if err := d.Decode(&h); err != nil || h.Format != ownFormat || h.Entries < 0 {
		return nil, fmt.Errorf("%w: the first line isn't %s", ErrOwn, ownFormat)
	}
	o := &Own{Head: ledger.Head{Size: h.Entries}}
	for _, field := range []struct {
		text string
		to   []byte
	}{{h.Member, o.Member[:]}, {h.Root, o.Head.Root[:]}} {
		b, err := hex.DecodeString(field.text)
		if err != nil || len(b) != len(field.to) {
			return nil, fmt.Errorf("%w: the first line's member and root have 64 hexadecimal digits each", ErrOwn)
		}
		copy(field.to, b)
	}
	for {
		var line OwnWord
		err := d.Decode(&line)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrOwn, len(o.Words)+2, err)
		}
		o.Words = append(o.Words, line)
	}
	if len(o.Words) != h.Words {
		return nil, fmt.Errorf("%w: %d words, the first line says %d: the file is cut off", ErrOwn, len(o.Words), h.Words)
	}
	return o, nil
}

// Against compares a member's own records with the ledger: its last head must be this ledger's, and every word that the coordinator
// acknowledged must be an entry of it. What is wrong is added to the findings.
func (b *Book) Against(o *Own) {
	name := b.Name(o.Member)
	switch head, err := b.export.HeadAt(o.Head.Size); {
	case o.Head.Size == 0:
	case err != nil:
		b.find(At{Entry: -1}, RuleCheckpoint, "%s saw %d entries of this ledger, here are %d: ask for a newer export", name, o.Head.Size, b.Head.Size)
	case head.Root != o.Head.Root:
		b.find(At{Entry: -1}, RuleCheckpoint, "%s saw another ledger of %d entries: a fork", name, o.Head.Size)
	}
	entries := map[wire.Digest]bool{}
	for _, e := range b.export.Entries {
		entries[wire.Hash("entry-object", e.Object)] = true
	}
	waiting := 0
	for i, word := range o.Words {
		e, err := wire.ParseEnvelope(word.Envelope)
		object := wire.Object(nil)
		switch e.Kind {
		case wire.TypePolicy:
			object = &wire.Policy{}
		case wire.TypeAccount:
			object = &wire.Account{}
		case wire.TypeCharge:
			object = &wire.Charge{}
		}
		if err == nil && object != nil {
			err = e.Open(object)
		}
		switch {
		case err != nil || object == nil || e.Signer != o.Member:
			b.find(At{Entry: -1}, RuleSignature, "word %d of %s's own records isn't a policy, an account or a charge that it signed", i+1, name)
		case entries[wire.Hash("entry-object", word.Envelope)]:
		case word.Acknowledged:
			b.find(At{Entry: -1}, map[wire.Type]string{wire.TypePolicy: RulePolicy, wire.TypeAccount: RuleAccount, wire.TypeCharge: RuleCharge}[e.Kind],
				"a %s by %s, which the coordinator acknowledged, isn't in the ledger: it was dropped, or the export is older", e.Kind, name)
		default:
			waiting++
		}
	}
	if waiting > 0 {
		b.Notes = append(b.Notes, fmt.Sprintf("%d of the signed words of %s hadn't reached the coordinator when it wrote its records.", waiting, name))
	}
}
