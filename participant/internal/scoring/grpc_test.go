package scoring

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"tributary/participant/internal/source"
	"tributary/protocol/pb"
)

// dial serves a document by gRPC, and calls it.
func dial(t testing.TB, document string, options ...grpc.DialOption) (c *grpc.ClientConn, stop context.CancelFunc, done chan error) {
	t.Helper()
	l, err := Listen("--grpc", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done = make(chan error, 1)
	go func() { done <- ServeGRPC(ctx, l, parse(t, document), []byte(document), io.Discard) }()
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	c, err = grpc.NewClient(l.Addr().String(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); stop() })
	return c, stop, done
}

// cells makes a row of JSON values.
func cells(t testing.TB, row string) *pb.ScoreRow {
	t.Helper()
	var values map[string]any
	if err := json.Unmarshal([]byte(row), &values); err != nil {
		t.Fatal(err)
	}
	out := &pb.ScoreRow{Columns: map[string]*pb.ScoreCell{}}
	for name, v := range values {
		c := &pb.ScoreCell{}
		switch v := v.(type) {
		case float64:
			c.Value = &pb.ScoreCell_Number{Number: v}
		case string:
			c.Value = &pb.ScoreCell_Text{Text: v}
		}
		out.Columns[name] = c
	}
	return out
}

func TestRowsAreScoredAndExplainedByGRPC(t *testing.T) {
	c, _, _ := dial(t, machine)
	scoring := pb.NewScoringClient(c)
	digest := sha256.Sum256([]byte(machine))
	rows := []*pb.ScoreRow{cells(t, `{"age":50,"land":"DE","id":7}`), cells(t, `{"age":null,"land":"FR"}`)}
	reply, err := scoring.Score(t.Context(), &pb.ScoreRequest{Rows: rows})
	if err != nil || len(reply.Results) != 2 || !bytes.Equal(reply.ModelSha256, digest[:]) {
		t.Fatal(reply, err)
	}
	for i, logit := range []float64{8.75, 20.25} {
		if p := reply.Results[i].Probability; p != 1/(1+math.Exp(-logit)) || reply.Results[i].Explanation != nil {
			t.Errorf("row %d: %v", i, reply.Results[i])
		}
	}
	reply, err = scoring.Score(t.Context(), &pb.ScoreRequest{Rows: rows[:1], Explain: true})
	if err != nil {
		t.Fatal(err)
	}
	e := reply.Results[0].Explanation
	if got := fmt.Sprintf("%v %v %s %v %v %s*%s %v", e.Logit, e.Intercept, e.Columns[0].Column, e.Columns[0].Logit, e.Columns[1].Logit, e.Pairs[0].Column, e.Pairs[0].Second, e.Pairs[0].Logit); got != "8.75 0.5 age 2 0.25 age*land 6" {
		t.Error(got)
	}
	if reply, err = scoring.Score(t.Context(), &pb.ScoreRequest{}); err != nil || len(reply.Results) != 0 {
		t.Error(reply, err)
	}
}

func TestRowsAreClassifiedByGRPC(t *testing.T) {
	c, _, _ := dial(t, grades)
	for _, explain := range []bool{false, true} {
		reply, err := pb.NewScoringClient(c).Score(t.Context(), &pb.ScoreRequest{Rows: []*pb.ScoreRow{cells(t, `{"age":50,"land":"DE"}`)}, Explain: explain})
		if err != nil {
			t.Fatal(err)
		}
		r, want := reply.Results[0], 1/(1+math.Exp(-2.75))
		if r.Predicted != "high" || math.Abs(r.Probability-want) > 1e-15 || len(r.Classes) != 2 || r.Classes[1].Class != "high" || r.Classes[1].Probability != r.Probability {
			t.Errorf("%v", r)
		}
		if e := r.Classes[1].Explanation; (e != nil) != explain || explain && (e.Logit != 2.75 || len(e.Columns) != 2) {
			t.Errorf("%v", e)
		}
	}
}

// Bad calls are INVALID_ARGUMENT with the field and a hint.
func TestBadCallsAreRefusedWithARemedy(t *testing.T) {
	c, _, _ := dial(t, linear)
	good := cells(t, `{"age":50,"land":"DE"}`)
	infinite := cells(t, `{"land":"DE"}`)
	infinite.Columns["age"] = &pb.ScoreCell{Value: &pb.ScoreCell_Number{Number: math.Inf(1)}}
	for want, rows := range map[string][]*pb.ScoreRow{
		"row rows[0].land": {cells(t, `{"age":50}`)},
		"row rows[1].age":  {good, cells(t, `{"age":"old","land":"DE"}`)},
		"row rows[1].land": {good, cells(t, `{"age":1,"land":7}`)},
		"row rows[0].age":  {infinite},
		"size rows":        make([]*pb.ScoreRow, maxRows+1),
	} {
		for i := range rows {
			if rows[i] == nil {
				rows[i] = &pb.ScoreRow{}
			}
		}
		_, err := pb.NewScoringClient(c).Score(t.Context(), &pb.ScoreRequest{Rows: rows})
		s := status.Convert(err)
		if s.Code() != codes.InvalidArgument || len(s.Details()) != 1 {
			t.Errorf("%s: %v", want, err)
			continue
		}
		d := s.Details()[0].(*pb.Error)
		if d.Code+" "+d.Field != want || d.Hint == "" && rows[0] != infinite || !strings.HasPrefix(s.Message(), d.Field+": ") {
			t.Errorf("%s: %v", want, d)
		}
	}
	long := cells(t, `{"age":1}`)
	long.Columns["land"] = &pb.ScoreCell{Value: &pb.ScoreCell_Text{Text: strings.Repeat("x", maxBody)}}
	if _, err := pb.NewScoringClient(c).Score(t.Context(), &pb.ScoreRequest{Rows: []*pb.ScoreRow{long}}); status.Code(err) != codes.ResourceExhausted {
		t.Error(err)
	}
}

// Many classes cost columns × classes a row: the bound of the HTTP endpoint holds.
func TestExplanationsAreBoundedByGRPC(t *testing.T) {
	h := newHandler(parse(t, grades), nil)
	h.told = 512
	rows := make([]*pb.ScoreRow, maxTold/512+1)
	for i := range rows {
		rows[i] = cells(t, `{"age":1,"land":"DE"}`)
	}
	_, err := (&calls{handler: h}).Score(t.Context(), &pb.ScoreRequest{Rows: rows, Explain: true})
	if d := status.Convert(err).Details(); status.Code(err) != codes.InvalidArgument || len(d) != 1 || d[0].(*pb.Error).Field != "explain" {
		t.Error(err)
	}
}

// A name that an attacker lets point at this machine isn't served, health and streams neither; nor is there reflection.
func TestCallsForAnotherHostAreRefused(t *testing.T) {
	c, _, _ := dial(t, linear, grpc.WithAuthority("rebound.example:8080"))
	if _, err := pb.NewScoringClient(c).Score(t.Context(), &pb.ScoreRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	health := healthpb.NewHealthClient(c)
	if _, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	watch, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	local, _, _ := dial(t, linear)
	reply, err := healthpb.NewHealthClient(local).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "tributary.v1.Scoring"})
	if err != nil || reply.Status != healthpb.HealthCheckResponse_SERVING {
		t.Error(reply, err)
	}
	for _, version := range []string{"v1", "v1alpha"} {
		if err := local.Invoke(t.Context(), "/grpc.reflection."+version+".ServerReflection/ServerReflectionInfo", &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{}); status.Code(err) != codes.Unimplemented {
			t.Errorf("reflection %s: %v", version, err)
		}
	}
}

// A stop doesn't wait for who watches the health: the stream ends in order, not by a broken connection.
func TestGRPCStopsAlthoughSomebodyWatches(t *testing.T) {
	c, stop, done := dial(t, linear)
	watch, err := healthpb.NewHealthClient(c).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := watch.Recv(); err != nil || reply.Status != healthpb.HealthCheckResponse_SERVING {
		t.Fatal(reply, err)
	}
	stop()
	for err == nil {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Canceled {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// If one endpoint ends, so do the others, and the error is told.
func TestEndpointsStopTogether(t *testing.T) {
	e, err := Addresses{HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0"}.Listen()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- e.Serve(t.Context(), parse(t, linear), []byte(linear), io.Discard) }()
	e.GRPC.Close()
	if err := <-done; err == nil {
		t.Error("no error")
	}
	if c, err := net.Dial("tcp", e.HTTP.Addr().String()); err == nil {
		c.Close()
		t.Error("HTTP is still served")
	}
	if _, err := (Addresses{HTTP: "127.0.0.1:0", GRPC: "192.0.2.1:80"}).Listen(); err == nil || !strings.Contains(err.Error(), "--grpc 192.0.2.1:80 can be reached from other machines") {
		t.Error(err)
	}
}

// The two endpoints and the file say the same of a row.
func TestEndpointsAndFilesAgree(t *testing.T) {
	c, _, _ := dial(t, linear)
	reply, err := pb.NewScoringClient(c).Score(t.Context(), &pb.ScoreRequest{Rows: []*pb.ScoreRow{cells(t, `{"age":"61.5","land":"FR"}`)}})
	if err != nil {
		t.Fatal(err)
	}
	p := reply.Results[0].Probability
	if _, text := post(t, Handler(parse(t, linear), []byte(linear)), nil, `{"row":{"age":61.5,"land":"FR"}}`); text != fmt.Sprintf("{\"result\":{\"probability\":%v}}\n", p) {
		t.Errorf("%s, by gRPC %v", text, p)
	}
	in := write(t, "age,land\n61.5,FR\n")
	if _, err := (File{Rows: source.Binding{File: in}, Out: in + ".out", Keep: []string{}}).Score(t.Context(), parse(t, linear)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, in+".out", ',')[1][0]; got != fmt.Sprint(p) {
		t.Errorf("%s in a file, by gRPC %v", got, p)
	}
}

// BenchmarkCall is BenchmarkRequest by gRPC.
func BenchmarkCall(b *testing.B) {
	wideDocument, wideRow := wide()
	for _, c := range []struct {
		name, document, row string
		explain             bool
	}{
		{"two columns", machine, `{"age":50,"land":"DE"}`, false}, {"two columns, explained", machine, `{"age":50,"land":"DE"}`, true},
		{"100 columns", wideDocument, wideRow, false}, {"100 columns, 4950 pairs explained", wideDocument, wideRow, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			connection, _, _ := dial(b, c.document)
			client := pb.NewScoringClient(connection)
			request := &pb.ScoreRequest{Rows: []*pb.ScoreRow{cells(b, c.row)}, Explain: c.explain}
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				if _, err := client.Score(b.Context(), request); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// A call of 4 MB may take 128 MB decoded: while as many as are worked on are, no other is decoded.
func TestCallsAreDecodedWhenTheirTurnComes(t *testing.T) {
	m := parse(t, machine)
	c := &calls{handler: newHandler(m, []byte(machine)), columns: m.Columns()}
	for range cap(c.slots) {
		c.slots <- struct{}{}
	}
	answer, decoded := c.service().Methods[0].Handler, false
	decode := func(any) error { decoded = true; return nil }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := answer(c, ctx, decode, nil); status.Code(err) != codes.DeadlineExceeded || decoded {
		t.Errorf("%v, decoded %t", err, decoded)
	}
	<-c.slots
	if _, err := answer(c, t.Context(), decode, nil); err != nil || !decoded || len(c.slots) != cap(c.slots)-1 {
		t.Errorf("%v, decoded %t, %d slots taken", err, decoded, len(c.slots))
	}
}

// One program can't open connections without end: those beyond the bound wait until others close.
func TestConnectionsAreBounded(t *testing.T) {
	c, _, _ := dial(t, machine)
	scoring := pb.NewScoringClient(c)
	call := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		_, err := scoring.Score(ctx, &pb.ScoreRequest{Rows: []*pb.ScoreRow{cells(t, `{"age":50,"land":"DE"}`)}}, grpc.WaitForReady(true))
		return err
	}
	var idle []net.Conn
	for range maxConnections {
		conn, err := net.Dial("tcp", c.Target())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		idle = append(idle, conn)
	}
	if err := call(300 * time.Millisecond); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a call beyond the bound: %v", err)
	}
	for _, conn := range idle {
		conn.Close()
	}
	if err := call(time.Minute); err != nil {
		t.Error(err)
	}
}
