package round

import (
	"bytes"
	"testing"
)

// A member of a private job takes no state for the last one but that which the release names, and none that isn't done.
func TestG8LastStateOfAPrivateJobIsTheReleases(t *testing.T) {
	w := privateWorld(t)
	earlier := map[*node][]byte{}
	w.before = func(n *node, phase TaskPhase) bool {
		if phase == TaskRelease {
			earlier[n] = n.member.Record().State
		}
		return phase != TaskRelease
	}
	w.run(nil)
	v := w.coord.View()
	if v.Status != Completed || len(earlier) == 0 {
		t.Fatalf("job %s: %s", v.Status, v.Reason)
	}
	for n, state := range earlier {
		last := StateDigest(v.State)
		_, err := n.member.Step(LastRelease{State: state, Next: last})
		wantRule(t, err, RuleState)
		_, err = n.member.Step(LastRelease{State: state, Next: StateDigest(state)})
		wantRule(t, err, RuleState)
		if _, err := n.member.Step(LastRelease{State: v.State, Next: last}); err != nil {
			t.Fatal(err)
		}
		if r := n.member.Record(); !r.Finished || !bytes.Equal(r.State, v.State) {
			t.Errorf("%s: finished %t with another state", n.name, r.Finished)
		}
	}
}
