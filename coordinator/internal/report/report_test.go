package report

import (
	"bytes"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"encoding/xml"

	"tributary/protocol/pb"
)

func input() Input {
	return Input{Threshold: 0.5, At: func(ms int64) string { return fmt.Sprint(ms) },
		Job: &pb.JobInfo{Job: []byte{1, 2}, Name: "churn <b>", Status: "completed", ResolvedJson: []byte(`{"name":"churn","contract":"shop@1"}`),
			MetricsJson: `{"rows":90,"scores":{"positive":[0,1,2,5],"negative":[6,3,1,0]}}`},
		Events: []*pb.Event{
			{Round: 1, Step: 0, Kind: "fit", Phase: "plan"},
			{Round: 1, Step: 1, Kind: "fit", Phase: "apply", AtMs: 11, Message: "90 training rows", MetricsJson: `{"rows":90}`},
			{Round: 2, Step: 2, Kind: "train", Phase: "apply", MetricsJson: `{"train_log_loss":0.69}`},
			{Round: 3, Step: 3, Kind: "train", Phase: "apply", MetricsJson: `{"train_log_loss":0.41}`},
			{Round: 4, Step: 4, Kind: "evaluate", Phase: "apply", MetricsJson: `{"train_log_loss":0.4}`},
			{Phase: "end"},
		}}
}

func names(r *Report) (out []string) {
	for _, c := range r.Charts {
		out = append(out, c.Name)
	}
	return out
}

// The page is one file: everything it shows is in it, and nothing of it is a script or an address elsewhere.
func TestPageNeedsNothingElse(t *testing.T) {
	r := New(input())
	r.Facts, r.Quality = [][]string{{"status", "completed"}}, [][]string{{"AUC", "0.95"}}
	r.Members = Table{[]string{"MEMBER"}, [][]string{{"alpen & co"}}}
	var page bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	for _, want := range []string{"churn &lt;b&gt;", "alpen &amp; co", "90 training rows", "0.410000", "&#34;contract&#34;: &#34;shop@1&#34;", "ROC curve", "Training loss", "taken for positive", "default-src 'none'"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "<svg "); n != len(r.Charts) || n != 7 {
		t.Errorf("%d drawings of %v", n, names(r))
	}
	outside := regexp.MustCompile(`(?i)<script|<link|<img|<iframe|@import|url\(|\b(src|href)\s*=|https?://`)
	rest := strings.ReplaceAll(text, `xmlns="http://www.w3.org/2000/svg"`, "")
	if found := outside.FindString(rest); found != "" {
		t.Errorf("the page has %q", found)
	}
}

func TestCurvesAreWrittenAsBothKinds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	files, err := New(input()).WriteCurves(dir)
	if err != nil || len(files) != 14 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) == ".png" {
			if _, err := png.Decode(bytes.NewReader(data)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		for d := xml.NewDecoder(bytes.NewReader(data)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// A private job tells no loss; one that measures nothing has no curves at all, and the page says so.
func TestReportsOfWhatIsUnknown(t *testing.T) {
	in := input()
	for _, e := range in.Events {
		e.MetricsJson = `{"noised":true}`
	}
	in.Job.MetricsJson = `{"rows":90,"scores":{"positive":[0,1.5,2,5],"negative":[6,3,1,0],"deviation":2}}`
	r := New(in)
	if got := names(r); !slices.Equal(got, []string{"roc", "precision-recall", "calibration", "gains", "lift", "scores"}) || !r.Evaluation.Noised {
		t.Error(got)
	}
	in.Job.MetricsJson = `{"rows":90}`
	var page bytes.Buffer
	if err := New(in).WriteHTML(&page); err != nil || strings.Contains(page.String(), "<svg") || !strings.Contains(page.String(), "there are no curves") {
		t.Errorf("%v: %s", err, page.String())
	}
	// Scores of one class give no ROC curve, but those that they can.
	in.Job.MetricsJson = `{"scores":{"positive":[0,0],"negative":[6,3]}}`
	if got := names(New(in)); !slices.Equal(got, []string{"calibration", "scores"}) {
		t.Error(got)
	}
}
