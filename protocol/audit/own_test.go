package audit

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// ownOf is what a member of the story keeps.
func ownOf(w *world, i int) *Own {
	o := &Own{Member: w.member(i), Head: headOf(w.t, w.log(len(w.rows)))}
	for _, r := range w.rows {
		switch r.o.(type) {
		case *wire.Policy, *wire.Account, *wire.Charge:
			if r.key.Public() == o.Member {
				e := wire.Sign(r.key, r.o)
				o.Words = append(o.Words, OwnWord{e.Bytes(), true})
			}
		}
	}
	return o
}

func TestOwnRecordsSurviveTheirFile(t *testing.T) {
	o := ownOf(story(t, nil), 0)
	o.Words[1].Acknowledged = false
	var b bytes.Buffer
	if err := WriteOwn(&b, o); err != nil {
		t.Fatal(err)
	}
	got, err := ReadOwn(b.Bytes())
	if err != nil || got.Member != o.Member || got.Head != o.Head || len(got.Words) != len(o.Words) {
		t.Fatalf("%v", err)
	}
	for i := range got.Words {
		if !bytes.Equal(got.Words[i].Envelope, o.Words[i].Envelope) || got.Words[i].Acknowledged != o.Words[i].Acknowledged {
			t.Errorf("word %d changed", i)
		}
	}
	for name, bad := range map[string]string{"empty": "", "another format": strings.Replace(b.String(), "records/1", "records/2", 1),
		"cut off": b.String()[:strings.LastIndex(strings.TrimSpace(b.String()), "\n")+1], "unknown key": strings.Replace(b.String(), `"words"`, `"sentences"`, 1),
		"short member": strings.Replace(b.String(), `"member":"`, `"member":"0`, 1), "garbage": b.String() + "x"} {
		if _, err := ReadOwn([]byte(bad)); !errors.Is(err, ErrOwn) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a member saw and signed can't be dropped from the ledger, nor can it have seen a fork: its own records show it.
func TestOwnRecordsFindWhatALedgerDropsOrForks(t *testing.T) {
	honest := story(t, nil)
	own := ownOf(honest, 0)
	b := honest.verify()
	if b.Against(own); !b.Verified() {
		t.Fatal(b.Findings)
	}
	find := func(b *Book, rule, text string) {
		t.Helper()
		for _, f := range b.Findings {
			if f.Rule == rule && strings.Contains(f.Text, text) {
				return
			}
		}
		t.Errorf("no finding %s, %q in %v", rule, text, b.Findings)
	}
	for label, rule := range map[string]string{"policy/alpen/2": RulePolicy, "refill/alpen": RuleAccount, "second/1/charge/alpen": RuleCharge} {
		w := story(t, nil)
		w.drop(label)
		b := w.verify()
		b.Against(own)
		find(b, rule, "which the coordinator acknowledged, isn't in the ledger")
		find(b, RuleCheckpoint, "ask for a newer export")
	}
	forked := story(t, nil)
	forked.rows[forked.index("second/refusal")].o.(*wire.Refusal).Hint = "another story"
	b = forked.verify()
	b.Against(own)
	find(b, RuleCheckpoint, "a fork")
	// Words that nobody acknowledged may be missing; words of others, or that aren't such words, may not be there.
	w := story(t, nil)
	w.drop("second/1/charge/alpen")
	late := ownOf(honest, 0)
	late.Head = ledger.Head{}
	late.Words[len(late.Words)-1].Acknowledged = false
	b = w.verify()
	before := len(b.Findings)
	if b.Against(late); len(b.Findings) != before || len(b.Notes) == 0 {
		t.Errorf("%v", b.Findings)
	}
	for name, envelope := range map[string][]byte{"another's": ownOf(honest, 1).Words[0].Envelope, "garbage": {1, 2}, "another type": signedRefusal(honest)} {
		b := honest.verify()
		b.Against(&Own{Member: honest.member(0), Words: []OwnWord{{envelope, true}}})
		if len(b.Findings) != 1 || b.Findings[0].Rule != RuleSignature {
			t.Errorf("%s: %v", name, b.Findings)
		}
	}
}

func signedRefusal(w *world) []byte {
	e := wire.Sign(w.keys[0], &wire.Refusal{Phase: "plan", Rule: "budget"})
	return e.Bytes()
}
