package engine

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tributary/crypto/identity"
	"tributary/participant/internal/store"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/round"
)

// log is what the fake coordinator shows to witnesses, and what they say.
type log struct {
	mu       sync.Mutex // guards all below
	show     func(asked int64) ([]byte, [][32]byte)
	deaf     bool // takes no cosignatures
	asked    int
	accepted map[string][][]byte // by member, the lines
	offered  int
}

func (f *fake) GetCheckpoint(_ context.Context, in *pb.GetCheckpointRequest) (*pb.GetCheckpointReply, error) {
	var show func(int64) ([]byte, [][32]byte)
	if f.witnessed != nil {
		f.witnessed.mu.Lock()
		defer f.witnessed.mu.Unlock()
		f.witnessed.asked++
		show = f.witnessed.show
	}
	if show == nil {
		show = func(asked int64) ([]byte, [][32]byte) {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.shows(&f.log, asked)
		}
	}
	checkpoint, proof := show(int64(in.LedgerSize))
	reply := &pb.GetCheckpointReply{Checkpoint: checkpoint}
	for _, h := range proof {
		reply.ConsistencyProof = append(reply.ConsistencyProof, h[:])
	}
	return reply, nil
}

// shows signs a log's head, with the proof from what was asked if it can.
func (f *fake) shows(m *ledger.Memory, asked int64) ([]byte, [][32]byte) {
	head, err := ledger.CurrentHead(m)
	if err != nil {
		f.t.Error(err)
	}
	checkpoint, err := ledger.SignCheckpoint(f.charter.LogOrigin, head, f.key.Ed25519())
	if err != nil {
		f.t.Error(err)
	}
	proof, _ := ledger.ProveConsistency(m, asked, head.Size)
	return checkpoint, proof
}

func (f *fake) PutCosignature(ctx context.Context, in *pb.PutCosignatureRequest) (*pb.PutCosignatureReply, error) {
	if f.witnessed == nil {
		return nil, status.Error(codes.Unimplemented, "a coordinator without witnesses")
	}
	self := f.caller(ctx)
	f.witnessed.mu.Lock()
	defer f.witnessed.mu.Unlock()
	f.witnessed.offered++
	if f.witnessed.deaf {
		return nil, status.Error(codes.Unavailable, "deaf")
	}
	for name, key := range f.members {
		if key != self {
			continue
		}
		coordinator := f.key.Public()
		if _, err := ledger.VerifyCheckpoint(f.charter.LogOrigin, coordinator[:], in.Checkpoint, ledger.Cosigner{Name: f.charter.LogOrigin + "/witness/" + name, Key: key[:]}); err != nil {
			f.t.Errorf("%s: %v", name, err)
		}
		f.witnessed.accepted[name] = append(f.witnessed.accepted[name], in.Checkpoint)
	}
	return &pb.PutCosignatureReply{}, nil
}

// witnessing makes a world whose coordinator has witnesses.
func witnessing(t *testing.T) (*world, *log) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	l := &log{accepted: map[string][][]byte{}}
	w.fake.witnessed = l
	return w, l
}

func (l *log) by(name string) [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.accepted[name])
}

func (l *log) questions() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

func (w *world) heads(m *member) (seen, cosigned ledger.Head) {
	w.t.Helper()
	w.with(m, func(s *store.Store) {
		var err error
		if seen, err = s.Head(); err != nil {
			w.t.Fatal(err)
		}
		if cosigned, err = s.LastCosigned(); err != nil {
			w.t.Fatal(err)
		}
	})
	return seen, cosigned
}

func TestLedgerThatHoldsAJobIsCosignedByAll(t *testing.T) {
	w, l := witnessing(t)
	w.startAll()
	job := w.submit(specText)
	w.ends(job, round.Completed)
	head := w.fake.head()
	for _, m := range w.members {
		w.until(m.name+" cosigns", func() bool { _, cosigned := w.heads(m); return cosigned == head })
		if err := w.stop(m); err != nil {
			t.Error(err)
		}
		if seen, _ := w.heads(m); seen != head {
			t.Errorf("%s has seen %v, want %v", m.name, seen, head)
		}
		w.with(m, func(s *store.Store) {
			sent, err := s.Outbox()
			if err != nil || !slices.ContainsFunc(sent, func(o store.Sent) bool { return o.Kind == "cosignature" }) {
				t.Errorf("the outbox of %s doesn't tell of a cosignature (%v)", m.name, err)
			}
		})
	}
	m, before := w.members[0], len(l.by("alpen"))
	asked := l.questions()
	w.start(m) // nothing is new
	w.until("the question at the start", func() bool { return l.questions() > asked })
	time.Sleep(100 * time.Millisecond)
	if n := len(l.by("alpen")); n != before {
		t.Errorf("%d cosignatures for one head", n)
	}
	w.stop(m)
	w.fake.grow()
	w.start(m) // something is
	w.until("the cosignature at the start", func() bool { return len(l.by("alpen")) > before })
}

// head is the fake's own ledger's.
func (f *fake) head() ledger.Head {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now().Head
}

func (f *fake) grow() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.append(ledger.Job, []byte("something"))
}

func TestForkBetweenJobsIsRefusedByTheWitness(t *testing.T) {
	stranger, _ := identity.Generate()
	other := func(entries int) *ledger.Memory {
		m := &ledger.Memory{}
		for i := range entries {
			if _, err := ledger.Append(m, ledger.Entry{Kind: ledger.Job, AtMs: uint64(i + 1), Object: []byte("another history")}); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	for name, show := range map[string]func(f *fake, asked int64) ([]byte, [][32]byte){
		"forked and larger": func(f *fake, asked int64) ([]byte, [][32]byte) { return f.shows(other(int(asked)+3), asked) },
		"forked, as large":  func(f *fake, asked int64) ([]byte, [][32]byte) { return f.shows(other(int(asked)), asked) },
		"shrunk": func(f *fake, asked int64) ([]byte, [][32]byte) {
			m, f1 := &ledger.Memory{}, &f.log
			for i := range asked - 1 {
				record, _ := f1.ReadEntry(i)
				e, err := ledger.ParseEntry(record)
				if err == nil {
					_, err = ledger.Append(m, e)
				}
				if err != nil {
					f.t.Error(err)
				}
			}
			return f.shows(m, asked)
		},
		"empty again": func(f *fake, asked int64) ([]byte, [][32]byte) { return f.shows(&ledger.Memory{}, asked) },
		"without its proof": func(f *fake, asked int64) ([]byte, [][32]byte) {
			f.append(ledger.Job, []byte("more"))
			checkpoint, _ := f.shows(&f.log, asked)
			return checkpoint, nil
		},
		"signed by another": func(f *fake, asked int64) ([]byte, [][32]byte) {
			f.append(ledger.Job, []byte("more"))
			head, _ := ledger.CurrentHead(&f.log)
			checkpoint, err := ledger.SignCheckpoint(f.charter.LogOrigin, head, stranger.Ed25519())
			if err != nil {
				f.t.Error(err)
			}
			proof, _ := ledger.ProveConsistency(&f.log, asked, head.Size)
			return checkpoint, proof
		},
		"of another log": func(f *fake, asked int64) ([]byte, [][32]byte) {
			f.append(ledger.Job, []byte("more"))
			head, _ := ledger.CurrentHead(&f.log)
			checkpoint, err := ledger.SignCheckpoint("other/log", head, f.key.Ed25519())
			if err != nil {
				f.t.Error(err)
			}
			proof, _ := ledger.ProveConsistency(&f.log, asked, head.Size)
			return checkpoint, proof
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, l := witnessing(t)
			m := w.members[0]
			for range 6 {
				w.fake.grow()
			}
			w.start(m)
			w.until("the first cosignature", func() bool { _, cosigned := w.heads(m); return cosigned == w.fake.head() })
			w.stop(m)
			honest, asked := w.fake.head(), l.questions()
			l.mu.Lock()
			l.show = func(asked int64) ([]byte, [][32]byte) {
				w.fake.mu.Lock()
				defer w.fake.mu.Unlock()
				return show(w.fake, asked)
			}
			offered := l.offered
			l.mu.Unlock()
			w.start(m)
			w.until("the question", func() bool { return l.questions() > asked })
			time.Sleep(100 * time.Millisecond)
			if err := w.stop(m); err != nil {
				t.Error(err)
			}
			seen, cosigned := w.heads(m)
			if seen != honest || cosigned != honest {
				t.Errorf("the node now keeps %v and %v, want %v", seen, cosigned, honest)
			}
			l.mu.Lock()
			if l.offered != offered || len(l.accepted["alpen"]) != 1 {
				t.Errorf("%d cosignatures were offered", l.offered)
			}
			l.show = nil
			l.mu.Unlock()
			w.fake.grow()
			w.start(m) // the honest ledger is cosigned again
			w.until("the cosignature of the honest ledger", func() bool { return len(l.by("alpen")) == 2 })
		})
	}
}

func TestHeadIsStoredBeforeItIsCosignedAndTheCosignatureIsntLost(t *testing.T) {
	w, l := witnessing(t)
	m := w.members[0]
	w.fake.grow()
	l.deaf = true
	w.start(m)
	w.until("an offer", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.offered > 0 })
	w.stop(m)
	if seen, cosigned := w.heads(m); seen != w.fake.head() || cosigned != (ledger.Head{}) {
		t.Errorf("after an offer that wasn't taken: seen %v, cosigned %v", seen, cosigned)
	}
	l.mu.Lock()
	l.deaf = false
	l.mu.Unlock()
	w.start(m)
	w.until("the cosignature", func() bool { _, cosigned := w.heads(m); return cosigned == w.fake.head() })
	if lines := l.by("alpen"); len(lines) != 1 || !bytes.Contains(lines[0], []byte("— shops/log/witness/alpen ")) {
		t.Errorf("%q", lines)
	}
}
