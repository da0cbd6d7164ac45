package round

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"tributary/crypto/secagg"
	"tributary/protocol/wire"
)

var update = flag.Bool("update", false, "rewrite the golden transcripts")

// TestTranscripts prints every message and decision of whole jobs; testdata/NAME.txtar holds what is to be read there.
func TestTranscripts(t *testing.T) {
	for name, c := range map[string]struct {
		about  string
		status Status
		set    func(*world)
	}{
		"good": {"Four members, committee 3 of 4, one round of each kind and two of training.", Completed, func(*world) {}},
		"gone-before-upload": {"Coast stops before it uploads in round 2. The job pauses at the deadline and goes on when coast is back.", Completed,
			func(w *world) {
				asked := 0
				w.before = func(n *node, phase TaskPhase) bool {
					if n.name != "coast" || phase != TaskPlan || w.coord.View().Round != 2 || asked > 0 && w.coord.View().Status == Paused {
						return true
					}
					asked++
					return false
				}
			}},
		"gone-before-opening": {"Delta stops after its upload in round 2 and never opens: three of four seats are enough.", Completed,
			func(w *world) {
				w.before = func(n *node, phase TaskPhase) bool {
					return n.name != "delta" || phase != TaskOpen || w.coord.View().Round != 2
				}
			}},
		"lying-seat": {"Baltic lies about its share sum in round 1. The fourth reply corrects it; the release names its seat as suspect.", Completed,
			func(w *world) {
				w.nodes[1].lie = func(n *node, e wire.Envelope) wire.Envelope {
					if w.coord.View().Round == 1 {
						return lieAboutShareSum(n, e)
					}
					return e
				}
			}},
		"dealer-frames-a-seat": {"Delta gives baltic's seat a share off its polynomial in round 1. It opens at the seat, so nobody can complain; the " +
			"correction names the seat or a sender's share to it, never the seat alone.", Completed,
			func(w *world) {
				delta := w.nodes[3]
				w.before = func(n *node, phase TaskPhase) bool {
					if n != delta || phase != TaskPlan || w.coord.View().Round != 1 || n.holds.Round == 1 {
						return true
					}
					w.say("coordinator -> delta: Plan")
					w.restart(n)
					n.holds.Round = 1
					w.dealOffPolynomial(n, 2)
					return false
				}
			}},
		"abort": {"Two of four seats lie in every round. Nothing opens; after three rounds the job ends, its state the one before.", Aborted,
			func(w *world) { w.nodes[0].lie, w.nodes[1].lie = lieAboutShareSum, lieAboutShareSum }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.set(w)
			w.run(nil)
			if got := w.coord.View().Status; got != c.status {
				t.Errorf("job %s, want %s", got, c.status)
			}
			golden := filepath.Join("testdata", name+".txtar")
			got := &txtar.Archive{Comment: []byte(c.about + "\n"), Files: []txtar.File{{Name: "transcript", Data: []byte(w.trace.String())}}}
			if *update {
				if err := os.WriteFile(golden, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(want) != string(txtar.Format(got)) {
				t.Errorf("the transcript changed; read the difference, then run with -update:\n%s", txtar.Format(got))
			}
		})
	}
}

// dealOffPolynomial uploads honestly but for one seat's share, which is of another key's polynomial.
func (w *world) dealOffPolynomial(n *node, seat int) {
	if _, err := n.member.Step(w.planInput(n, *w.coord.View().Plan)); err != nil {
		w.t.Fatal(err)
	}
	lanes := func() []int64 { return []int64{int64(n.rows), int64(n.rows * 100), 1000} }
	ctx := w.coord.View().Context
	deal := func() *secagg.Upload {
		u, err := secagg.Encrypt(w.proposal.Params(wire.Fit), secagg.Context(ctx), secagg.Member(n.key.Public()), n.member.job.seats, lanes())
		if err != nil {
			w.t.Fatal(err)
		}
		return u
	}
	sealed, other := deal(), deal()
	sealed.Shares[seat-1] = other.Shares[seat-1]
	u := &wire.Upload{Ctx: ctx, PayloadDigest: BlobDigest(sealed.Payload), PayloadLen: uint64(len(sealed.Payload))}
	for _, s := range sealed.Shares {
		u.ShareDigests = append(u.ShareDigests, BlobDigest(s))
	}
	e := wire.Sign(n.key, u)
	n.member.rec.Stage, n.member.rec.Upload, n.sealed = StageUploaded, e.Bytes(), sealed
	record := n.member.Record()
	n.stored = &record
	w.say("delta -> coordinator: upload")
	w.upload(n, e)
}
