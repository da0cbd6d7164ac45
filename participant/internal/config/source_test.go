package config

import (
	"strings"
	"testing"
)

func TestASourceIsOneFile(t *testing.T) {
	for text, want := range map[string]string{
		"source: {parquet: rows.parquet}":                "",
		"source: {csv: rows.csv}":                        "",
		"source: {csv: rows.csv, parquet: rows.parquet}": "a source is one file",
		"source: {}": "names no file",
		`source: {parquet: rows.parquet, separator: ";"}`: "has no separator",
	} {
		config := strings.Replace(example, `source: {csv: /srv/shop/customers.csv.gz, separator: ";", missing: ["", "NA"]}`, text, 1)
		if config == example {
			t.Fatal("the example has another source")
		}
		c, problems := Parse([]byte(config), "/etc/tributary")
		switch {
		case want == "" && len(problems) > 0:
			t.Errorf("%s: %v", text, problems)
		case want == "" && !strings.HasPrefix(c.Data[0].File, "/etc/tributary/rows."):
			t.Errorf("%s: %s", text, c.Data[0].File)
		case want != "" && (len(problems) != 1 || !strings.Contains(problems[0].Message, want) || problems[0].Hint == ""):
			t.Errorf("%s: %v, want %q", text, problems, want)
		}
	}
}
