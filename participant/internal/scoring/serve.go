package scoring

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"tributary/models/score"
)

// Limits of a request.
const (
	maxConnections = 32      // of an endpoint at once; more wait
	maxBody        = 4 << 20 // bytes
	maxRows        = 10_000
	maxTold        = 4 << 20          // contributions: rows × columns × classes of an explained request, or columns and pairs of them
	grace          = 10 * time.Second // for requests in progress at a stop
)

// Listen opens the loopback address that a flag gives. Others are refused: there is neither a log-in nor TLS.
func Listen(flag, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %s %s isn't an address and a port\nhint: for example 127.0.0.1:8080", ErrUse, flag, address)
	}
	if !loopback(host) {
		return nil, fmt.Errorf("%w: %s %s can be reached from other machines\nhint: use 127.0.0.1, and a proxy with TLS and a log-in of your own for others", ErrUse, flag, address)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w\nhint: use another port", ErrUse, flag, err)
	}
	return netutil.LimitListener(l, maxConnections), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Serve answers until ctx is done, then lets requests in progress end. The document is the model's, whose digest is told.
func Serve(ctx context.Context, l net.Listener, m *score.Model, document []byte, errorLog io.Writer) error {
	s := &http.Server{
		Handler: Handler(m, document), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: log.New(errorLog, "", 0),
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := s.Shutdown(stop); err != nil {
		return errors.Join(fmt.Errorf("stop: %w", err), s.Close())
	}
	return nil
}

type handler struct {
	model  *score.Model
	told   int // contributions that explain one row: columns × classes, and of a factorization machine pairs of columns
	health []byte
	slots  chan struct{} // as many requests are worked on at once
}

// atOnce is how many requests are worked on at once.
func atOnce() int { return 4 * runtime.GOMAXPROCS(0) }

func newHandler(m *score.Model, document []byte) *handler {
	digest := sha256.Sum256(document)
	terms := len(m.Terms())
	h := &handler{model: m, told: terms * max(len(m.Classes), 1), slots: make(chan struct{}, atOnce())}
	if m.Factors > 0 {
		h.told += terms * (terms - 1) / 2
	}
	h.health, _ = json.Marshal(map[string]any{"status": "ok", "model": hex.EncodeToString(digest[:]), "type": m.Type}) // strings: it can't fail
	return h
}

// Handler answers POST /v1/score and GET /healthz.
func Handler(m *score.Model, document []byte) http.Handler {
	h := newHandler(m, document)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/score", h.score)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, h.health) })
	mux.HandleFunc("/", elsewhere)
	return local(mux)
}

// elsewhere answers what the other patterns don't.
func elsewhere(w http.ResponseWriter, r *http.Request) {
	for path, method := range map[string]string{"/v1/score": "POST", "/healthz": "GET, HEAD"} {
		if r.URL.Path == path {
			w.Header().Set("Allow", method)
			refuse(w, http.StatusMethodNotAllowed, problem{Code: "method", Message: path + " doesn't take " + strconv.Quote(r.Method), Hint: "send " + method})
			return
		}
	}
	refuse(w, http.StatusNotFound, problem{Code: "path", Message: "there is nothing at this path", Hint: "POST /v1/score, or GET /healthz"})
}

// unreadable says in words what the decoder found.
func unreadable(err error) problem {
	p := problem{Code: "json", Message: "the body can't be read: " + strings.TrimPrefix(err.Error(), "json: "), Hint: `send {"row": {…}} or {"rows": [{…}, …]}, and "explain": true or false`}
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Field == "":
		p.Message = "the body isn't an object"
	case errors.As(err, &kind):
		p.Field, p.Message = kind.Field, map[string]string{"rows": "want a list", "explain": "want true or false"}[kind.Field]+", got: "+kind.Value
	case errors.Is(err, io.EOF):
		p.Message = "the body is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		p.Message = "the body ends too early"
	}
	return p
}

// local refuses requests for another host's name: a web page could have its own name point at this machine, and read the answers.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if !loopback(host) {
			refuse(w, http.StatusForbidden, problem{Code: "host", Message: "the request is for another host", Hint: "call it as 127.0.0.1 or localhost"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// problem has the form of the command line's errors.
type problem struct {
	Code    string `json:"code"`
	Field   string `json:"field"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

func refuse(w http.ResponseWriter, status int, p problem) {
	body, _ := json.Marshal(map[string]problem{"error": p}) // strings: it can't fail
	answer(w, status, body)
}

func answer(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintf(w, "%s\n", body) // the caller may be gone
}

// request is the body of POST /v1/score: one row or many.
type request struct {
	Row     json.RawMessage   `json:"row"`
	Rows    []json.RawMessage `json:"rows"`
	Explain bool              `json:"explain"`
}

type probability struct {
	Probability float64 `json:"probability"`
}

// predicted is the answer for a row of a model whose label is a number.
type predicted struct {
	Prediction float64 `json:"prediction"`
}

// classified is the answer for a row of a model with classes; all is by class.
type classified struct {
	Predicted     string                       `json:"predicted"`
	Probabilities map[string]float64           `json:"probabilities"`
	Classes       map[string]score.Explanation `json:"classes,omitempty"` // if explained
}

func (h *handler) score(w http.ResponseWriter, r *http.Request) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-r.Context().Done():
		return
	}
	// Browsers ask before they send JSON to another origin, and nothing here allows it.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, problem{Code: "content-type", Message: "the body isn't said to be JSON", Hint: "send Content-Type: application/json"})
		return
	}
	var q request
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(&q)
	if err == nil {
		if _, end := dec.Token(); end != io.EOF {
			err = errors.Join(errors.New("there is more after the object"), end)
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, problem{Code: "size", Message: fmt.Sprintf("the body is longer than %d bytes", maxBody), Hint: "send fewer rows at a time"})
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, unreadable(err))
		return
	case (q.Row != nil) == (q.Rows != nil):
		refuse(w, http.StatusBadRequest, problem{Code: "rows", Field: "rows", Message: "want either row or rows", Hint: `send {"row": {…}} or {"rows": [{…}, …]}`})
		return
	}
	if p := h.tooMuch(len(q.Rows), q.Explain); p != nil {
		refuse(w, http.StatusRequestEntityTooLarge, *p)
		return
	}
	out, field, err := h.answer(&q)
	if err != nil {
		refuse(w, http.StatusBadRequest, rowProblem(field, err))
		return
	}
	body, err := json.Marshal(out)
	if err != nil {
		refuse(w, http.StatusInternalServerError, problem{Code: "internal", Message: err.Error()})
		return
	}
	answer(w, http.StatusOK, body)
}

// tooMuch refuses more rows, or more contributions of them, than are answered at once.
func (h *handler) tooMuch(rows int, explain bool) *problem {
	switch {
	case rows > maxRows:
		return &problem{Code: "size", Field: "rows", Message: fmt.Sprintf("%d rows, at most %d", rows, maxRows), Hint: "send fewer rows at a time"}
	case explain && rows*h.told > maxTold:
		return &problem{Code: "size", Field: "explain", Message: fmt.Sprintf("%d rows have %d contributions, at most %d are told", rows, rows*h.told, maxTold), Hint: "send fewer rows at a time"}
	}
	return nil
}

// answer gives result for row, and results for rows in their order, or names the first bad one.
func (h *handler) answer(q *request) (out map[string]any, field string, err error) {
	if q.Row != nil {
		result, err := h.one(q.Row, q.Explain)
		return map[string]any{"result": result}, "row", err
	}
	results := make([]any, len(q.Rows))
	for i, raw := range q.Rows {
		if results[i], err = h.one(raw, q.Explain); err != nil {
			return nil, fmt.Sprintf("rows[%d]", i), err
		}
	}
	return map[string]any{"results": results}, "", nil
}

func (h *handler) one(raw []byte, explain bool) (any, error) {
	row, err := h.model.RowJSON(raw)
	if err != nil {
		return nil, err
	}
	switch {
	case h.model.Classes != nil:
		return h.classify(row, explain)
	case explain && h.model.Target != nil:
		return h.model.ExplainNumber(row)
	case explain:
		return h.model.Explain(row)
	}
	p, err := h.model.Score(row)
	if h.model.Target != nil {
		return predicted{p}, err
	}
	return probability{p}, err
}

func (h *handler) classify(row []score.Value, explain bool) (any, error) {
	probabilities, predicted, err := h.model.Classify(row)
	if err != nil {
		return nil, err
	}
	out := classified{Predicted: h.model.Classes[predicted], Probabilities: map[string]float64{}}
	for k, p := range probabilities {
		out.Probabilities[h.model.Classes[k]] = p
	}
	if !explain {
		return out, nil
	}
	classes, _, err := h.model.ExplainClasses(row)
	if err != nil {
		return nil, err
	}
	out.Classes = map[string]score.Explanation{}
	for k, e := range classes {
		out.Classes[h.model.Classes[k]] = e
	}
	return out, nil
}
