package store

import (
	"errors"
	"testing"

	"tributary/protocol/ledger"
)

func TestHeadThatIsCosignedOnlyMovesOnFromTheOneThatWasCompared(t *testing.T) {
	dir := t.TempDir() + "/state"
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	five, six, other := ledger.Head{Size: 5, Root: [32]byte{5}}, ledger.Head{Size: 6, Root: [32]byte{6}}, ledger.Head{Size: 6, Root: [32]byte{7}}
	if err := s.Cosigning(ledger.Head{}, five); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ seen, head ledger.Head }{{ledger.Head{}, six}, {six, other}, {five, ledger.Head{Size: 4, Root: [32]byte{4}}}} {
		if err := s.Cosigning(c.seen, c.head); !errors.Is(err, ErrHeadMoved) {
			t.Errorf("from %v to %v: %v", c.seen, c.head, err)
		}
	}
	if err := errors.Join(s.Cosigning(five, six), s.Cosigned(five)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	seen, err := s.Head()
	cosigned, err2 := s.LastCosigned()
	if seen != six || cosigned != five || err != nil || err2 != nil {
		t.Errorf("kept %v and %v, want %v and %v (%v, %v)", seen, cosigned, six, five, err, err2)
	}
}
