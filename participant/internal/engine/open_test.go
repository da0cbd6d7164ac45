package engine

import (
	"bytes"
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"

	"tributary/participant/internal/config"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// tap hears, once it is on, every message that reaches the coordinator, as bytes.
type tap struct {
	on    atomic.Bool
	mu    sync.Mutex // guards heard
	heard bytes.Buffer
}

func (t *tap) HandleRPC(_ context.Context, s stats.RPCStats) {
	in, ok := s.(*stats.InPayload)
	if !ok || !t.on.Load() {
		return
	}
	if m, ok := in.Payload.(proto.Message); ok {
		data, _ := proto.Marshal(m)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.heard.Write(data)
		t.heard.WriteByte(0)
	}
}

func (t *tap) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (t *tap) HandleConn(context.Context, stats.ConnStats)                       {}
func (t *tap) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

const openText = `version: 1
name: shop-open
revision: 1
key: customer_id
max_rows: 10000
label: {column: churned, positive: "yes", negative: "no"}
columns:
  city:   {type: category, buckets: 64}
  device: {type: category, values: [phone, desk]}
`

const crossText = `version: 1
name: churn
contract: shop-open@1
features:
  - {columns: [city, device], transform: one_hot, min_count: 5}
  - {cross: [city, device], buckets: 32, min_count: 5}
model: {type: logistic_regression, l2: 1.0, max_rounds: 3}
evaluate: {holdout: 0.2}
privacy: exact
run: {mode: sealed, committee: {threshold: 3, of: 4}, round_timeout: 2m, expires: 1h}
`

// opening binds every member to a contract that doesn't list its customers' cities; city says how those are called.
func (w *world) opening(city func(m *member, i int) string) {
	w.t.Helper()
	w.contract = parseContract(w.t, openText)
	for k, m := range w.members {
		w.write(m, "shop-open.yaml", openText)
		r := mathrand.New(mathrand.NewPCG(3, uint64(k)))
		var b strings.Builder
		b.WriteString("customer_id,city,device,churned\n")
		for i := range 200 {
			fmt.Fprintf(&b, "%s-%d,%s,%s,%s\n", m.name, i, city(m, r.IntN(9)), []string{"phone", "desk"}[r.IntN(2)], []string{"no", "yes"}[r.IntN(2)])
		}
		w.write(m, "customers.csv", b.String())
		w.write(m, "participant.yaml", fmt.Sprintf("version: 1\nname: %s\ndata_dir: state\npolicy: {contracts: [shop-open@1], approve: automatic}\ndata:\n  - {contract: shop-open@1, id: customers, source: {csv: customers.csv}}\n", m.name))
		c, err := config.Load(filepath.Join(m.dir, "participant.yaml"))
		if err != nil {
			w.t.Fatal(err)
		}
		m.config = c
	}
}

// A participant sends no value of an open category, whatever happens: not in a job that completes, not in the refusal of one for
// whose rows it can't answer. The coordinator plays the eavesdropper: it keeps every byte of every message.
func TestValuesOfOpenCategoriesNeverLeave(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	w.opening(func(m *member, i int) string { return fmt.Sprintf("Geheimstadt %s %d", m.name, i) })
	w.tap.on.Store(true)
	w.startAll()
	job := w.submit(crossText)
	w.ends(job, round.Completed)
	for _, m := range w.members {
		w.closed(m, job)
	}
	// In another encoding a value has no bucket: the rows don't fit the contract any more.
	w.write(w.members[0], "customers.csv", "customer_id,city,device,churned\n1,Geheimst\xe4dtchen,phone,yes\n")
	w.ends(w.submit(strings.Replace(crossText, "name: churn", "name: churn-2", 1)), round.Aborted)
	if w.fake.puts[wire.TypeRefusal] == 0 {
		t.Error("nobody refused")
	}
	w.tap.mu.Lock()
	defer w.tap.mu.Unlock()
	heard := w.tap.heard.Bytes()
	if len(heard) < 100_000 || !bytes.Contains(heard, []byte("contracts: [shop-open@1]")) {
		t.Fatalf("the eavesdropper heard %d bytes, and not the members' policies", len(heard))
	}
	for _, secret := range []string{"Geheim", "geheim", "R2VoZWlt", "47656865696d"} { // as text, base64 and hexadecimal
		if bytes.Contains(heard, []byte(secret)) {
			t.Errorf("%q was sent", secret)
		}
	}
}

// An operator's floor for counts holds for crosses and buckets as for listed values.
func TestFloorHoldsForCrosses(t *testing.T) {
	p := config.Policy{Contracts: []string{"shop@1"}, Privacy: []string{jobspec.KindExact}, Modes: []string{jobspec.ModeSealed}, MinCountFloor: 50}
	for _, f := range []jobspec.Feature{{Name: "a*b", Kind: jobspec.Cross, Of: []string{"a", "b"}, HashBuckets: 64, MinCount: 49}, {Name: "a", Kind: jobspec.Category, HashBuckets: 64, MinCount: 49}} {
		r := &jobspec.Resolved{Contract: jobspec.ContractRef{Name: "shop", Revision: 1}, Kind: jobspec.KindExact, Mode: jobspec.ModeSealed, Features: []jobspec.Feature{f}}
		terms := &terms{resolved: r, proposal: &round.Proposal{Manifest: &wire.Manifest{}}}
		if err := checkPolicy(p, terms); err == nil || !strings.Contains(err.Error(), "column "+f.Name+" folds values with fewer than 49 rows") {
			t.Errorf("%s: %v", f.Name, err)
		}
		r.Features[0].MinCount = 50
		if err := checkPolicy(p, terms); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}
