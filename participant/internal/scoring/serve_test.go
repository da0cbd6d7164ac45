package scoring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func post(t *testing.T, h http.Handler, change func(*http.Request), body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest("POST", "http://127.0.0.1:8080/v1/score", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestRowsAreScoredAndExplained(t *testing.T) {
	h := Handler(parse(t, machine), []byte(machine))
	p := 1 / (1 + math.Exp(-8.75))
	one := fmt.Sprintf(`{"probability":%v}`, p)
	const explained = `"logit":8.75,"intercept":0.5,"columns":[{"column":"age","logit":2},{"column":"land","logit":0.25}],"pairs":[{"first":"age","second":"land","logit":6}]}`
	for body, want := range map[string]string{
		`{"row":{"age":50,"land":"DE","id":[7]}}`:                      `{"result":` + one + `}`,
		`{"rows":[{"age":"50","land":"DE"},{"age":null,"land":"FR"}]}`: `{"results":[` + one + fmt.Sprintf(`,{"probability":%v}]}`, 1/(1+math.Exp(-20.25))),
		`{"rows":[]}`: `{"results":[]}`,
		`{"row":{"age":50,"land":"DE"},"explain":true}`:      fmt.Sprintf(`{"result":{"probability":%v,`, p) + explained + `}`,
		` {"explain":true,"rows":[{"land":"DE","age":50}]} `: fmt.Sprintf(`{"results":[{"probability":%v,`, p) + explained + `]}`,
	} {
		if code, got := post(t, h, nil, body); code != http.StatusOK || got != want+"\n" {
			t.Errorf("%s: %d %s, want %s", body, code, got, want)
		}
	}
}

func TestBadRequestsAreRefusedWithARemedy(t *testing.T) {
	h := Handler(parse(t, linear), []byte(linear))
	many := `{"rows":[` + strings.TrimSuffix(strings.Repeat(`{},`, maxRows+1), ",") + `]}`
	for _, c := range []struct {
		body   string
		change func(*http.Request)
		status int
		want   string // code and field
	}{
		{`{"row":{"age":50}}`, nil, 400, "row row.land"},
		{`{"rows":[{"age":50,"land":"DE"},{"age":"x","land":"DE"}]}`, nil, 400, "row rows[1].age"},
		{`{"rows":[{"age":50,"land":"DE","land":"FR"}]}`, nil, 400, "row rows[0]"},
		{`{"rows":[7]}`, nil, 400, "row rows[0]"},
		{`{"rows":7}`, nil, 400, "json rows"}, {`{"row":{},"explain":"yes"}`, nil, 400, "json explain"}, {`[]`, nil, 400, "json "}, {`{"lines":[]}`, nil, 400, "json "}, {`{"rows":[]}{}`, nil, 400, "json "}, {`{"rows":[`, nil, 400, "json "}, {``, nil, 400, "json "},
		{`{}`, nil, 400, "rows rows"}, {`{"row":{},"rows":[]}`, nil, 400, "rows rows"},
		{many, nil, 413, "size rows"}, {`{"row":{"age":"` + strings.Repeat("x", maxBody) + `"}}`, nil, 413, "size "},
		{`{"rows":[]}`, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, "content-type "},
		{`{"rows":[]}`, func(r *http.Request) { r.Host = "rebound.example:8080" }, 403, "host "},
	} {
		code, text := post(t, h, c.change, c.body)
		var reply struct{ Error problem }
		if err := json.Unmarshal([]byte(text), &reply); err != nil || code != c.status || strings.Contains(text, "Go ") || reply.Error.Code+" "+reply.Error.Field != c.want || reply.Error.Message == "" {
			t.Errorf("%.60s: %d %.300s, want %d %s", c.body, code, text, c.status, c.want)
		}
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{{"GET", "/v1/score", 405}, {"POST", "/healthz", 405}, {"GET", "/", 404}, {"GET", "/healthz", 200}} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, "http://localhost"+c.path, nil))
		var reply struct{ Error problem }
		if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil || w.Code != c.status || c.status != 200 && reply.Error.Hint == "" || (c.status == 405) != (w.Header().Get("Allow") != "") {
			t.Errorf("%s %s: %d %s (%v)", c.method, c.path, w.Code, w.Body, err)
		}
	}
}

func TestOnlyLoopbackIsListenedOn(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:80", "example.org:80", "127.0.0.1", "[::]:0"} {
		if l, err := Listen("--listen", address); !errors.Is(err, ErrUse) || !strings.Contains(err.Error(), "hint: ") {
			t.Errorf("%s: %v", address, err)
			if l != nil {
				l.Close()
			}
		}
	}
	l, err := Listen("--listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Listen("--listen", l.Addr().String()); !errors.Is(err, ErrUse) {
		t.Error(err)
	}
}

// watched tells when the server has taken in a request's first half, and waits for more of it.
type watched struct {
	net.Listener
	half chan struct{}
}

func (w *watched) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	return &watchedConn{Conn: c, half: w.half}, err
}

type watchedConn struct {
	net.Conn
	got  []byte
	half chan struct{}
}

func (c *watchedConn) Read(b []byte) (int, error) {
	if bytes.Contains(c.got, []byte(`{"row`)) {
		close(c.half)
		c.got = nil
	}
	n, err := c.Conn.Read(b)
	c.got = append(c.got, b[:n]...)
	return n, err
}

// slow is a body that comes in two parts.
type slow struct {
	rest chan struct{}
	text string
	sent int
}

func (s *slow) Read(b []byte) (int, error) {
	switch s.sent {
	case 0:
		s.sent++
		return copy(b, s.text[:5]), nil
	case 1:
		s.sent++
		<-s.rest
		return copy(b, s.text[5:]), nil
	}
	return 0, io.EOF
}

// A request in progress is answered after the stop began; then nothing listens any more.
func TestStopIsGraceful(t *testing.T) {
	l, err := Listen("--listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	seen := &watched{l, make(chan struct{})}
	go func() { done <- Serve(ctx, seen, parse(t, linear), []byte(linear), io.Discard) }()
	url := "http://" + l.Addr().String()
	body := &slow{rest: make(chan struct{}), text: `{"row":{"age":50,"land":"DE"}}`}
	answered := make(chan string, 1)
	go func() {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		r, err := client.Post(url+"/v1/score", "application/json", body)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		answered <- string(text)
	}()
	<-seen.half
	stop()
	for {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		c.Close()
		time.Sleep(time.Millisecond)
	}
	close(body.rest)
	if text := <-answered; !strings.HasPrefix(text, `{"result":{"probability":0.9`) {
		t.Error(text)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// wide is a factorization machine of 100 numbers with 16 factors, and a row of them.
func wide() (document, row string) {
	var columns, cells []string
	for i := range 100 {
		columns = append(columns, fmt.Sprintf(`{"name":"x%d","feature":"x%d","role":"number","number":{"min":0,"max":100,"log1p":true,"standardize":true,"mean":2,"sd":1,"clip":64},"folded":false,"coefficient":0.01,"factor":[0.01%s]}`,
			i, i, strings.Repeat(",0.01", 15)))
		cells = append(cells, fmt.Sprintf(`"x%d":%d.5`, i, i))
	}
	return `{"format":"tributary-model","version":1,"type":"factorization_machine","factors":16,"l2":1,"intercept":0,"columns":[` + strings.Join(columns, ",") + `],"training_rows":9,"train_rounds":1}`,
		"{" + strings.Join(cells, ",") + "}"
}

// BenchmarkRequest is one row a request over loopback, as a client sees it.
func BenchmarkRequest(b *testing.B) {
	wideDocument, wideRow := wide()
	for _, c := range []struct{ name, document, row, more string }{
		{"two columns", machine, `{"age":50,"land":"DE"}`, ""}, {"two columns, explained", machine, `{"age":50,"land":"DE"}`, `,"explain":true`},
		{"100 columns", wideDocument, wideRow, ""}, {"100 columns, 4950 pairs explained", wideDocument, wideRow, `,"explain":true`},
	} {
		b.Run(c.name, func(b *testing.B) {
			server := httptest.NewServer(Handler(parse(b, c.document), []byte(c.document)))
			defer server.Close()
			body := `{"row":` + c.row + c.more + `}`
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				r, err := server.Client().Post(server.URL+"/v1/score", "application/json", strings.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != 200 {
					b.Fatal(r.Status, err)
				}
				r.Body.Close()
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
