package audit

import (
	_ "embed"
	"html/template"
	"io"
)

//go:embed report.html
var page string

// WriteHTML writes the report as one page that needs nothing else: no script, no image, no address outside. It prints well.
func (r *Report) WriteHTML(out io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{"percent": percent, "refills": refills, "short": func(s string) string { return s[:12] }, "words": words,
		"witnessed": (*Report).witnessed, "rules": func(m MemberReport) string { return m.rules() }, "openers": func(j JobReport) string { return j.openers() }}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(out, r)
}
