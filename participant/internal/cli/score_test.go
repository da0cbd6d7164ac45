package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"tributary/protocol/pb"
)

const scoredModel = `{"format":"tributary-model","version":1,"type":"logistic_regression","l2":1,"intercept":0,"columns":[
{"name":"age","feature":"age","role":"number","number":{"min":0,"max":100,"log1p":false,"standardize":false,"mean":0,"sd":1,"clip":64},"folded":false,"coefficient":1}],"training_rows":9,"train_rounds":1}`

func TestScoreNeedsNoConfig(t *testing.T) {
	dir := t.TempDir()
	path := func(name, text string) string {
		file := filepath.Join(dir, name)
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return file
	}
	config, model, rows, out := path("none.yaml", ""), path("model.json", scoredModel), path("rows.csv", "id,age\n7,0\n8,\n"), path("scores.csv", "")
	good := path("good.csv", "id;age\n7;0\n")
	run(t, config, "score", "--model", model, "--in", good, "--out", out, "--separator", ";", "--keep", "id", "--explain").expect(t, exitOK, "Scored 1 rows into "+out)
	if data, err := os.ReadFile(out); err != nil || string(data) != "id;probability;logit;logit:(intercept);logit:age\n7;0.5;0;0;0\n" {
		t.Errorf("%q, %v", data, err)
	}
	classes := path("classes.json", strings.NewReplacer(`"type":"`, `"classes":["a","b"],"type":"multinomial_`, `"intercept":0`, `"intercepts":[0,0]`, `"coefficient":1`, `"coefficients":[0,1]`).Replace(scoredModel))
	run(t, config, "score", "--model", classes, "--in", good, "--out", out, "--separator", ";", "--keep", "id").expect(t, exitOK, "Scored 1 rows into "+out)
	if data, err := os.ReadFile(out); err != nil || string(data) != "id;predicted;probability:a;probability:b\n7;a;0.5;0.5\n" {
		t.Errorf("%q, %v", data, err)
	}
	run(t, config, "score", "--model", model, "--in", rows, "--out", out).expect(t, exitUsage, "row 3, column age: the value is missing", "hint: ")
	run(t, config, "score", "--model", rows, "--in", rows, "--out", out).expect(t, exitUsage, "not a model that can be scored", "hint: ")
	run(t, config, "score", "--model", path("absent", ""), "--in", rows, "--out", out).expect(t, exitUsage, "no such file", "hint: ")
	run(t, config, "score", "--in", rows, "--out", out).expect(t, exitUsage, "--model is missing")
	run(t, config, "score", "--model", model, "--in", rows).expect(t, exitUsage, "give --in or --data")
	run(t, config, "score", "--model", model, "--in", rows, "--listen", "127.0.0.1:0").expect(t, exitUsage, "--listen and --grpc exclude")
	run(t, config, "score", "--model", model, "--grpc", "0.0.0.0:0").expect(t, exitUsage, "--grpc 0.0.0.0:0 can be reached from other machines", "hint: ")
	run(t, config, "score", "--model", model, "--in", rows, "--out", out, "--separator", ";;").expect(t, exitUsage, "can't separate")
	run(t, config, "score", "--model", model, "--in", rows, "--data", "x", "--out", out).expect(t, exitUsage, "give --in or --data")
	run(t, config, "score", "--model", model, "--data", "x", "--missing", "NA", "--out", out).expect(t, exitUsage, "--data excludes")
	run(t, config, "score", "--model", model, "--data", "x", "--out", out).expect(t, exitUsage, "none.yaml", "hint: ")
	run(t, config, "score", "--model", model, "--listen", "0.0.0.0:0").expect(t, exitUsage, "other machines", "hint: ")
}

func TestScoreReadsASourceOfTheConfig(t *testing.T) {
	config := folder(t, "alpen")
	dir := filepath.Dir(config)
	model, out := filepath.Join(dir, "model.json"), filepath.Join(dir, "scores.csv")
	for _, c := range []struct {
		nullable string
		code     int
		words    []string
	}{
		{"", exitUsage, []string{"row 3, column age: the value is missing"}},
		{`"nullable":true,`, exitOK, []string{"Scored 3 rows", "age: 1 values"}},
	} {
		if err := os.WriteFile(model, []byte(strings.Replace(scoredModel, `"folded"`, c.nullable+`"folded"`, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, config, "score", "--model", model, "--data", "customers", "--out", out, "--keep", "id").expect(t, c.code, c.words...)
	}
	if data, err := os.ReadFile(out); err != nil || !strings.HasPrefix(string(data), "id,probability\n1,0.99") || strings.Count(string(data), "\n") != 4 {
		t.Errorf("%s, %v", data, err)
	}
	run(t, config, "score", "--model", model, "--data", "shops", "--out", out).expect(t, exitUsage, `there is no source "shops"`, "hint: ")
}

// lines gives what is written to it line by line.
type lines struct {
	buffer bytes.Buffer
	c      chan string
}

func (l *lines) Write(b []byte) (int, error) {
	l.buffer.Write(b)
	for {
		line, err := l.buffer.ReadString('\n')
		if err != nil {
			l.buffer.WriteString(line)
			return len(b), nil
		}
		l.c <- line
	}
}

func TestScoreServesUntilStopped(t *testing.T) {
	model := filepath.Join(t.TempDir(), "model.json")
	if err := os.WriteFile(model, []byte(scoredModel), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	out, code := &lines{c: make(chan string, 9)}, make(chan int, 1)
	go func() {
		code <- Main(ctx, []string{"score", "--model", model, "--listen", "127.0.0.1:0", "--grpc", "127.0.0.1:0"}, out, &bytes.Buffer{})
	}()
	var said string
	select {
	case said = <-out.c:
	case c := <-code:
		t.Fatal(c)
	}
	words := strings.Fields(said)
	r, err := http.Post(words[2], "application/json", strings.NewReader(`{"row":{"age":0}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var reply struct{ Result struct{ Probability float64 } }
	if err := json.NewDecoder(r.Body).Decode(&reply); err != nil || reply.Result.Probability != 0.5 {
		t.Errorf("%+v, %v", reply, err)
	}
	address := strings.Fields(<-out.c)[4]
	calls, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer calls.Close()
	row := &pb.ScoreRow{Columns: map[string]*pb.ScoreCell{"age": {Value: &pb.ScoreCell_Number{Number: 0}}}}
	if scored, err := pb.NewScoringClient(calls).Score(t.Context(), &pb.ScoreRequest{Rows: []*pb.ScoreRow{row}}); err != nil || scored.Results[0].Probability != 0.5 {
		t.Errorf("%v, %v", scored, err)
	}
	stop()
	if c := <-code; c != exitOK {
		t.Errorf("exit %d", c)
	}
}
