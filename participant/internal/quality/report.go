package quality

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed report.html
var page string

var report = template.Must(template.New("report").Funcs(template.FuncMap{
	"number":  number,
	"percent": func(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) },
}).Parse(page))

// Job says of which job a report is.
type Job struct {
	Name string
	Job  string // hexadecimal
	At   time.Time
}

// WriteReport writes the view as one HTML page that opens without a network.
func (v *View) WriteReport(w io.Writer, j Job) error {
	var curve []string
	for _, p := range v.roc {
		curve = append(curve, fmt.Sprintf("%.2f,%.2f", 100*p.X, 100-100*p.Y))
	}
	return report.Execute(w, struct {
		Name, Job, At, Notice, Curve string
		View                         *View
	}{j.Name, j.Job, j.At.UTC().Format(time.DateTime + " UTC"), Notice, strings.Join(curve, " "), v})
}
