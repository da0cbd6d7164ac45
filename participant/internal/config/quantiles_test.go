package config

import (
	"strings"
	"testing"
)

// An operator may refuse quantiles; the stated policy then says so.
func TestQuantilesMayBeRefused(t *testing.T) {
	const text = "version: 1\nname: notary\ndata_dir: /tmp/x\npolicy: {contracts: [shop@1], quantiles: refuse}\n"
	for word, refused := range map[string]bool{"quantiles: refuse": true, "quantiles: allow": false, "min_cohort: 3": false} {
		c, problems := Parse([]byte(strings.Replace(text, "quantiles: refuse", word, 1)), "/")
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if c.Policy.NoQuantiles != refused || strings.Contains(c.Policy.Text(), "\nquantiles: refuse\n") != refused {
			t.Errorf("%s: %t, %q", word, c.Policy.NoQuantiles, c.Policy.Text())
		}
	}
	if _, problems := Parse([]byte(strings.Replace(text, "quantiles: refuse", "quantiles: yes", 1)), "/"); len(problems) != 1 || problems[0].Path != "policy.quantiles" {
		t.Errorf("%v", problems)
	}
}
