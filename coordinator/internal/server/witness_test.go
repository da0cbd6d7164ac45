package server

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"tributary/crypto/identity"
	"tributary/protocol/audit"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

const testOrigin = "tributary/shops"

// witnesses are a charter of three and one who is enrolled but not in it.
type witnesses struct {
	*world
	operator pb.OperatorClient
	clients  map[string]pb.ParticipantClient
	keys     map[string]*identity.Key
}

func newWitnesses(t *testing.T) *witnesses {
	t.Helper()
	w := &witnesses{world: newWorld(t), clients: map[string]pb.ParticipantClient{}, keys: map[string]*identity.Key{}}
	w.operator = w.world.operator("anna")
	members := []string{"alpen", "baltic", "coast"}
	for _, name := range append(members[:3:3], "stranger") {
		conn, key := w.member(name, wire.RoleBoth)
		w.clients[name], w.keys[name] = pb.NewParticipantClient(conn), key
	}
	if _, err := w.operator.ProposeCharter(t.Context(), &pb.ProposeRequest{F: 1, Members: members}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *witnesses) checkpoint() []byte {
	w.t.Helper()
	reply, err := w.clients["alpen"].GetCheckpoint(w.t.Context(), &pb.GetCheckpointRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	return reply.GetCheckpoint()
}

// cosigned appends the cosignature of who's key in a name.
func (w *witnesses) cosigned(checkpoint []byte, name, who string, at int64) []byte {
	w.t.Helper()
	out, err := ledger.Cosign(checkpoint, name, w.keys[who].Ed25519(), time.Unix(at, 0))
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *witnesses) put(by string, checkpoint []byte) error {
	_, err := w.clients[by].PutCosignature(w.t.Context(), &pb.PutCosignatureRequest{Checkpoint: checkpoint})
	return err
}

func (w *witnesses) export(cosigned bool) (*ledger.Export, error) {
	w.t.Helper()
	stream, err := w.operator.ExportLedger(w.t.Context(), &pb.ExportLedgerRequest{Cosigned: cosigned})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return ledger.ReadExport(&b)
		}
		if err != nil {
			return nil, err
		}
		b.Write(chunk.GetData())
	}
}

// exported demands a verified export cosigned by these many.
func (w *witnesses) exported(cosigned bool, size int64, by int) {
	w.t.Helper()
	x, err := w.export(cosigned)
	if err != nil {
		w.t.Fatal(err)
	}
	b := audit.Verify(x, audit.Options{Coordinator: w.key.Public(), Witnesses: by})
	if !b.Verified() || len(b.Cosigned) != by || x.Head.Size != size {
		w.t.Errorf("an export of %d entries cosigned by %v, want %d by %d: %v", x.Head.Size, b.Summary().Cosigned, size, by, b.Findings)
	}
}

func TestCosignatureOfAStrangerIsRefused(t *testing.T) {
	w := newWitnesses(t)
	name := func(who string) string { return ledger.WitnessName(testOrigin, who) }
	c := w.checkpoint()
	other, _ := identity.Generate()
	forged, err := ledger.SignCheckpoint(testOrigin, ledger.Head{Size: 2, Root: [32]byte{1}}, other.Ed25519())
	if err != nil {
		t.Fatal(err)
	}
	lost, err := ledger.SignCheckpoint(testOrigin, ledger.Head{Size: 2, Root: [32]byte{1}}, w.key.Ed25519())
	if err != nil {
		t.Fatal(err)
	}
	ahead, err := ledger.SignCheckpoint(testOrigin, ledger.Head{Size: 99, Root: [32]byte{1}}, w.key.Ed25519())
	if err != nil {
		t.Fatal(err)
	}
	for what, try := range map[string]struct {
		by         string
		checkpoint []byte
		want       codes.Code
		code       string
	}{
		"who isn't in the charter":           {"stranger", w.cosigned(c, name("stranger"), "stranger", 1), codes.PermissionDenied, "not-a-member"},
		"a stranger's in a member's name":    {"alpen", w.cosigned(c, name("alpen"), "stranger", 1), codes.InvalidArgument, "cosignature"},
		"another member's":                   {"alpen", w.cosigned(c, name("baltic"), "baltic", 1), codes.InvalidArgument, "cosignature"},
		"a member's in a stranger's name":    {"alpen", w.cosigned(c, name("stranger"), "alpen", 1), codes.InvalidArgument, "cosignature"},
		"a stranger's beside a member's":     {"alpen", w.cosigned(w.cosigned(c, name("alpen"), "alpen", 1), name("stranger"), "stranger", 1), codes.InvalidArgument, "cosignature"},
		"a member's twice":                   {"alpen", w.cosigned(w.cosigned(c, name("alpen"), "alpen", 1), name("alpen"), "alpen", 2), codes.InvalidArgument, "cosignature"},
		"no cosignature":                     {"alpen", c, codes.InvalidArgument, "cosignature"},
		"nothing":                            {"alpen", nil, codes.InvalidArgument, "cosignature"},
		"of another coordinator's head":      {"alpen", w.cosigned(forged, name("alpen"), "alpen", 1), codes.InvalidArgument, "cosignature"},
		"of a head that this ledger hasn't":  {"alpen", w.cosigned(lost, name("alpen"), "alpen", 1), codes.FailedPrecondition, "ledger"},
		"of a head that is ahead of the log": {"alpen", w.cosigned(ahead, name("alpen"), "alpen", 1), codes.FailedPrecondition, "ledger"},
	} {
		t.Run(what, func(t *testing.T) { refused(t, w.put(try.by, try.checkpoint), try.want, try.code) })
	}
	_, err = w.export(true)
	refused(t, err, codes.FailedPrecondition, "not-cosigned")
	w.exported(false, 9, 0)
}

func TestExportHasTheCosignaturesOfItsHead(t *testing.T) {
	w := newWitnesses(t)
	name := func(who string) string { return ledger.WitnessName(testOrigin, who) }
	c := w.checkpoint()
	for i, by := range []string{"alpen", "coast", "alpen"} { // the third time anew: one line a member
		if err := w.put(by, w.cosigned(c, name(by), by, int64(1+i))); err != nil {
			t.Fatal(err)
		}
	}
	w.exported(false, 9, 2)
	w.member("late", wire.RoleBoth) // an entry
	w.exported(false, 11, 0)
	w.exported(true, 9, 2)
	later := w.checkpoint()
	if err := w.put("baltic", w.cosigned(later, name("baltic"), "baltic", 9)); err != nil {
		t.Fatal(err)
	}
	w.exported(false, 11, 1)
	w.exported(true, 9, 2)
	if err := w.put("alpen", w.cosigned(later, name("alpen"), "alpen", 9)); err != nil {
		t.Fatal(err)
	}
	w.exported(true, 11, 2)
	w.restart()
	w.reconnect()
	w.exported(true, 11, 2)
	if _, err := w.operator.ProposeCharter(t.Context(), &pb.ProposeRequest{F: 1, Members: []string{"alpen", "baltic", "stranger"}}); err != nil {
		t.Fatal(err)
	}
	refused(t, w.put("coast", w.cosigned(c, name("coast"), "coast", 1)), codes.PermissionDenied, "not-a-member")
	if err := w.put("stranger", w.cosigned(c, name("stranger"), "stranger", 1)); err != nil { // it is a member now, it wasn't at that size
		t.Fatal(err)
	}
	w.exported(true, 9, 2)
	newest := w.checkpoint()
	for _, by := range []string{"alpen", "baltic", "stranger"} {
		if err := w.put(by, w.cosigned(newest, name(by), by, 3)); err != nil {
			t.Fatal(err)
		}
	}
	w.exported(true, 12, 3)
}

// reconnect waits until the restarted coordinator answers.
func (w *witnesses) reconnect() {
	w.t.Helper()
	for range 100 {
		if _, err := w.clients["alpen"].GetCheckpoint(w.t.Context(), &pb.GetCheckpointRequest{}); err == nil {
			if _, err := w.operator.ShowCharter(w.t.Context(), &pb.ShowCharterRequest{}); err == nil {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.t.Fatal("the coordinator doesn't come back")
}

func TestCheckpointComesWithTheProofFromTheHeadSeen(t *testing.T) {
	w := newWitnesses(t)
	key := w.key.Public()
	seen, err := ledger.VerifyCheckpoint(testOrigin, key[:], w.checkpoint())
	if err != nil || seen.Size != 9 {
		t.Fatal(seen, err)
	}
	w.member("late", wire.RoleBoth)
	ask := func(size int64) (ledger.Head, [][32]byte) {
		t.Helper()
		reply, err := w.clients["coast"].GetCheckpoint(t.Context(), &pb.GetCheckpointRequest{LedgerSize: uint64(size)})
		if err != nil {
			t.Fatal(err)
		}
		head, err := ledger.VerifyCheckpoint(testOrigin, key[:], reply.GetCheckpoint())
		if err != nil {
			t.Fatal(err)
		}
		return head, hashes(reply.GetConsistencyProof())
	}
	head, proof := ask(9)
	if err := ledger.VerifyConsistency(seen, head, proof); err != nil || head.Size != 11 {
		t.Error(head, err)
	}
	if head, proof = ask(12); len(proof) != 0 || head.Size != 11 { // whoever saw more sees that it shrank
		t.Error(head, proof)
	}
}
