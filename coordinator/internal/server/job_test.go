package server

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"tributary/crypto/secagg"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

const contractYAML = `version: 1
name: shop
revision: 1
key: id
max_rows: 100000
label: {column: churned, positive: "yes", negative: "no"}
columns:
  age: {type: number, min: 0, max: 100}
`

const specYAML = `version: 1
name: churn
contract: shop@1
features:
  - {columns: [age], transform: standardize}
model: {type: logistic_regression, max_rounds: 8}
privacy: exact
run: {mode: sealed, committee: {threshold: 3, of: 4}}
`

// consortium is a world with four members that have accepted a charter, and an operator.
func consortium(t *testing.T) (*world, pb.OperatorClient, []*node) {
	t.Helper()
	w := newWorld(t)
	operator := w.operator("anna")
	r := rand.New(rand.NewPCG(1, 2))
	var nodes []*node
	for i := range 4 {
		conn, key := w.member(fmt.Sprintf("shop-%d", i), wire.RoleBoth)
		n := &node{t: t, key: key, client: pb.NewParticipantClient(conn)}
		for range 100 {
			x := float64(r.IntN(100))
			n.x, n.y = append(n.x, x), append(n.y, r.Float64() < 0.2+x/200)
		}
		nodes = append(nodes, n)
	}
	if _, err := operator.ProposeCharter(t.Context(), &pb.ProposeRequest{F: 1}); err != nil {
		t.Fatal(err)
	}
	return w, operator, nodes
}

func submit(t *testing.T, o pb.OperatorClient, token string) *pb.SubmitReply {
	t.Helper()
	reply, err := o.SubmitJob(t.Context(), &pb.JobRequest{SpecYaml: []byte(specYAML), ContractYaml: []byte(contractYAML), SubmitToken: token})
	if err != nil || len(reply.GetProblems()) > 0 {
		t.Fatalf("%v, %v", reply.GetProblems(), err)
	}
	return reply
}

func jobInfo(t *testing.T, o pb.OperatorClient, job []byte) *pb.JobInfo {
	t.Helper()
	info, err := o.GetJob(t.Context(), &pb.GetJobRequest{Job: fmt.Sprintf("%x", job)})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// runUntil lets the nodes take turns until done says so.
func runUntil(t *testing.T, nodes []*node, done func() bool) {
	t.Helper()
	for range 400 {
		for _, n := range nodes {
			if done() {
				return
			}
			n.turn()
		}
	}
	t.Fatal("the job doesn't come to its end")
}

func TestJobRunsToItsEndOverRestarts(t *testing.T) {
	w, operator, nodes := consortium(t)
	job := submit(t, operator, "token-one").GetJob()
	if again := submit(t, operator, "token-one"); !again.GetExisting() || string(again.GetJob()) != string(job) {
		t.Errorf("the same token made another job: %v", again)
	}
	_, err := operator.SubmitJob(t.Context(), &pb.JobRequest{SpecYaml: []byte(specYAML + "\n"), ContractYaml: []byte(contractYAML), SubmitToken: "token-one"})
	refused(t, err, codes.InvalidArgument, "submit-token")

	turns := 0
	runUntil(t, nodes, func() bool {
		if turns++; turns%17 == 0 {
			w.restart()
		}
		return jobInfo(t, operator, job).GetStatus() == "completed"
	})
	info := jobInfo(t, operator, job)
	if !info.GetConverged() || info.GetObjective() <= 0 || !strings.Contains(info.GetMetricsJson(), `"train_rounds"`) {
		t.Errorf("converged %t, objective %g, metrics %s", info.GetConverged(), info.GetObjective(), info.GetMetricsJson())
	}
	for _, n := range nodes {
		for n.turn() {
		}
		if n.phase != pb.Phase_PHASE_RELEASE || n.machine.Record().Step != info.GetStep() {
			t.Errorf("a node ends in %s at step %d, the job at %d", n.phase, n.machine.Record().Step, info.GetStep())
		}
		if d := round.StateDigest(n.machine.Record().State); string(d[:]) != string(info.GetState()) {
			t.Error("a node verified another last state than the job's")
		}
	}
	if entries, err := os.ReadDir(filepath.Join(w.dir, "spool")); err != nil || len(entries) != 0 {
		t.Errorf("%d jobs left in the spool, %v", len(entries), err)
	}
	if x, err := operator.ExportModel(t.Context(), &pb.ExportRequest{Job: "churn"}); err != nil || !strings.Contains(string(x.GetData()), `"age"`) {
		t.Errorf("%s, %v", x.GetData(), err)
	}
	for _, format := range []string{"onnx", "onnx-float32"} {
		if x, err := operator.ExportModel(t.Context(), &pb.ExportRequest{Job: "churn", Format: format}); err != nil || x.GetFormat() != format || !strings.Contains(string(x.GetData()), "Sigmoid") {
			t.Errorf("%s: %d bytes, %v", format, len(x.GetData()), err)
		}
	}
	_, err = operator.ExportModel(t.Context(), &pb.ExportRequest{Job: "churn", Format: "pmml"})
	refused(t, err, codes.InvalidArgument, "format")
	startsFrom(t, operator, info)
	watchToTheEnd(t, operator, info)
	verifyLedger(t, w, operator, info)
}

func watchToTheEnd(t *testing.T, o pb.OperatorClient, info *pb.JobInfo) {
	t.Helper()
	stream, err := o.WatchJob(t.Context(), &pb.WatchRequest{Job: info.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	var last *pb.Event
	applied := 0
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.GetN() != last.GetN()+1 {
			t.Errorf("event %d after %d", e.GetN(), last.GetN())
		}
		if e.GetPhase() == "apply" {
			applied++
			if e.GetKind() == "train" && e.GetLoss() <= 0 {
				t.Errorf("event %d has no loss", e.GetN())
			}
		}
		last = e
	}
	if last.GetPhase() != "end" || last.GetStatus() != "completed" || applied != int(info.GetStep()) {
		t.Errorf("the last event is %v after %d sums of %d", last, applied, info.GetStep())
	}
}

func verifyLedger(t *testing.T, w *world, o pb.OperatorClient, info *pb.JobInfo) {
	t.Helper()
	stream, err := o.ExportLedger(t.Context(), &pb.ExportLedgerRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text.Write(chunk.GetData())
	}
	x, err := ledger.ReadExport(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	public := w.key.Public()
	if err := x.Verify("tributary/shops", public[:]); err != nil {
		t.Error(err)
	}
	count := map[ledger.Kind]int{}
	for _, e := range x.Entries {
		count[e.Kind]++
	}
	for kind, want := range map[ledger.Kind]int{ledger.Enrolment: 4, ledger.Charter: 1, ledger.Job: 1, ledger.Approval: 4, ledger.Release: int(info.GetStep()), ledger.Finish: 1} {
		if count[kind] != want {
			t.Errorf("%d %s entries, want %d", count[kind], kind, want)
		}
	}
}

// uploading runs a job until its first round waits for shop-0's upload, which is ready.
func uploading(t *testing.T) (w *world, operator pb.OperatorClient, nodes []*node, job []byte) {
	w, operator, nodes = consortium(t)
	job = submit(t, operator, "token-one").GetJob()
	for _, n := range nodes {
		n.turn() // approves
	}
	return w, operator, nodes, job
}

func TestUploadIsCheckedBeforeAByteIsSpooled(t *testing.T) {
	w, _, nodes, job := uploading(t)
	n := nodes[0]
	task := n.next()
	if task.GetPhase() != pb.Phase_PHASE_PLAN {
		t.Fatalf("task %v", task)
	}
	plan, err := wire.ParseEnvelope(task.GetObject())
	if err != nil {
		t.Fatal(err)
	}
	var p wire.Plan
	if err := plan.Open(&p); err != nil {
		t.Fatal(err)
	}
	proposal, approvals := n.open()
	closed, err := round.Close(proposal, approvals)
	if err != nil {
		t.Fatal(err)
	}
	size := uint64(proposal.Params(wire.Fit).PayloadBytes())
	good := wire.Upload{Ctx: p.Context(closed.Closed), PayloadLen: size, ShareDigests: make([]wire.Digest, 4)}
	empty := &secagg.Upload{}
	try := func(name string, change func(*wire.Upload), signer *node, want codes.Code, code string) {
		t.Helper()
		u := good
		change(&u)
		refused(t, n.upload(wire.Sign(signer.key, &u), empty, nil), want, code)
		if entries, err := os.ReadDir(filepath.Join(w.dir, "spool")); err != nil || len(entries) != 0 {
			t.Errorf("%s: something was spooled (%v)", name, err)
		}
	}
	try("oversize", func(u *wire.Upload) { u.PayloadLen = 1 << 40 }, n, codes.FailedPrecondition, "upload")
	try("too small", func(u *wire.Upload) { u.PayloadLen-- }, n, codes.FailedPrecondition, "upload")
	try("another round", func(u *wire.Upload) { u.Ctx[0] ^= 1 }, n, codes.FailedPrecondition, "context")
	try("too many shares", func(u *wire.Upload) { u.ShareDigests = make([]wire.Digest, 5) }, n, codes.FailedPrecondition, "upload")
	try("another's signature", func(*wire.Upload) {}, nodes[1], codes.PermissionDenied, "signer")
	if info := jobInfo(t, w.operator("bob"), job); info.GetStatus() != "running" {
		t.Errorf("the job is %s", info.GetStatus())
	}
}

func TestDamagedAndBrokenUploadsGoOnWhereTheyStand(t *testing.T) {
	_, operator, nodes, job := uploading(t)
	n := nodes[0]
	n.hold = true
	if !n.turn() {
		t.Fatal("no plan")
	}
	sent, err := wire.ParseEnvelope(n.machine.Record().Upload)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(p *pb.UploadPart) bool {
		if p.GetPart() == pb.UploadKind_UPLOAD_PAYLOAD {
			p.Crc32C ^= 1
		}
		return true
	}
	refused(t, n.upload(sent, n.sealed, flipped), codes.Unavailable, "crc")
	half := func(p *pb.UploadPart) bool { return p.GetOffset() == 0 && p.GetPart() != pb.UploadKind_UPLOAD_SHARE }
	refused(t, n.upload(sent, n.sealed, half), codes.Aborted, "incomplete")
	refused(t, n.upload(sent, n.sealed, nil), codes.Aborted, "offset")
	large := func(p *pb.UploadPart) bool {
		p.Data = make([]byte, maxChunk+1)
		return true
	}
	refused(t, n.upload(sent, n.sealed, large), codes.InvalidArgument, "chunk")
	digest, ctx := sent.Digest(), n.machine.Context()
	at, err := n.client.UploadStatus(t.Context(), &pb.UploadStatusRequest{Job: job, Ctx: ctx[:], Upload: digest[:]})
	if err != nil || at.GetPayloadOffset() != uint64(len(n.sealed.Payload)/2) || at.GetSharesDone() != 0 {
		t.Fatalf("%v, %v", at, err)
	}
	rest := func(p *pb.UploadPart) bool { // the first half is there: an empty part at its end changes nothing
		if p.GetPart() == pb.UploadKind_UPLOAD_PAYLOAD && p.GetOffset() == 0 {
			p.Offset, p.Data, p.Crc32C = at.GetPayloadOffset(), nil, 0
		}
		return true
	}
	if err := n.upload(sent, n.sealed, rest); err != nil {
		t.Fatal(err)
	}
	if at, err = n.client.UploadStatus(t.Context(), &pb.UploadStatusRequest{Job: job, Ctx: ctx[:], Upload: digest[:]}); err != nil || len(at.GetReceipt()) == 0 {
		t.Errorf("no receipt for a whole upload: %v, %v", at, err)
	}
	for _, m := range jobInfo(t, operator, job).GetMembers() {
		if m.GetUploaded() != (m.GetName() == "shop-0") {
			t.Errorf("%s uploaded: %t", m.GetName(), m.GetUploaded())
		}
	}
}

func TestSeatsSeeTheirOwnSharesOnly(t *testing.T) {
	_, _, nodes, _ := uploading(t)
	for _, n := range nodes {
		n.turn() // uploads
	}
	seen := map[string]bool{}
	for _, n := range nodes {
		got := n.shares(0)
		if len(got) != len(nodes) {
			t.Fatalf("%d shares for %d uploads", len(got), len(nodes))
		}
		for _, s := range got {
			e, err := wire.ParseEnvelope(s.GetUpload())
			if err != nil {
				t.Fatal(err)
			}
			var u wire.Upload
			if err := e.Open(&u); err != nil {
				t.Fatal(err)
			}
			p, _ := n.open()
			if round.BlobDigest(s.GetSealed()) != u.ShareDigests[p.Seat(n.key.Public())-1] {
				t.Error("a seat got another seat's share")
			}
			if seen[string(s.GetSealed())] {
				t.Error("two seats got one share")
			}
			seen[string(s.GetSealed())] = true
		}
		if got := n.shares(3); len(got) != 1 {
			t.Errorf("%d shares after the third", len(got))
		}
	}
}

func TestOutsidersOfAJobGetNothingOfIt(t *testing.T) {
	w, _, nodes, job := uploading(t)
	conn, key := w.member("late", wire.RoleBoth)
	late := pb.NewParticipantClient(conn)
	if reply, err := late.Next(t.Context(), &pb.NextRequest{Version: wire.ProtocolVersion}); err != nil || reply.GetTask() != nil {
		t.Errorf("%v, %v", reply, err)
	}
	stream, err := late.Fetch(t.Context(), &pb.FetchRequest{Kind: pb.FetchKind_FETCH_JOB, Digest: job})
	if err == nil {
		_, err = stream.Recv()
	}
	refused(t, err, codes.PermissionDenied, "no-part")
	forged := wire.Sign(nodes[0].key, &wire.Refusal{Job: wire.Digest(job), Phase: "approve", Rule: "policy"})
	_, err = late.Put(t.Context(), &pb.PutRequest{Object: forged.Bytes()})
	refused(t, err, codes.PermissionDenied, "signer")
	own := wire.Sign(key, &wire.Refusal{Job: wire.Digest(job), Phase: "approve", Rule: "policy"})
	_, err = late.Put(t.Context(), &pb.PutRequest{Object: own.Bytes()})
	refused(t, err, codes.FailedPrecondition, "context")
}

func TestRevokedMemberEndsTheJobAndCancelledJobsStayCancelled(t *testing.T) {
	w, operator, nodes, job := uploading(t)
	if _, err := operator.Revoke(t.Context(), &pb.RevokeRequest{Kind: "participant", Name: "shop-2", Reason: "lost"}); err != nil {
		t.Fatal(err)
	}
	if info := jobInfo(t, operator, job); info.GetStatus() != "aborted" || !strings.Contains(info.GetReason(), "shop-2 was revoked") {
		t.Errorf("%s: %s", info.GetStatus(), info.GetReason())
	}
	reply, err := nodes[0].client.Next(t.Context(), &pb.NextRequest{Version: wire.ProtocolVersion, Holding: []*pb.Holding{{Job: job}}})
	if err != nil || reply.GetCancel().GetOutcome() != wire.OutcomeAborted {
		t.Errorf("%v, %v", reply, err)
	}
	second := submit2(t, operator)
	if _, err := operator.CancelJob(t.Context(), &pb.CancelJobRequest{Job: fmt.Sprintf("%x", second), Reason: "wrong columns"}); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if info := jobInfo(t, operator, second); info.GetStatus() != "cancelled" || info.GetReason() != "cancelled by anna: wrong columns" {
		t.Errorf("%s: %s", info.GetStatus(), info.GetReason())
	}
}

// submit2 submits among the three members that are left.
func submit2(t *testing.T, o pb.OperatorClient) []byte {
	t.Helper()
	spec := strings.Replace(specYAML, "of: 4", "of: 3", 1)
	reply, err := o.SubmitJob(t.Context(), &pb.JobRequest{SpecYaml: []byte(spec), ContractYaml: []byte(contractYAML), SubmitToken: "token-two"})
	if err != nil || len(reply.GetProblems()) > 0 {
		t.Fatalf("%v, %v", reply.GetProblems(), err)
	}
	return reply.GetJob()
}
