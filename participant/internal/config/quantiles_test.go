package config

import (
	"strings"
	"testing"
)

// Quantiles are refused unless the operator writes that they are allowed; the stated policy then says so.
func TestQuantilesAreRefusedByDefault(t *testing.T) {
	const text = "version: 1\nname: notary\ndata_dir: /tmp/x\npolicy: {contracts: [shop@1], quantiles: allow}\n"
	for word, allowed := range map[string]bool{"quantiles: allow": true, "quantiles: refuse": false, "min_cohort: 3": false} {
		c, problems := Parse([]byte(strings.Replace(text, "quantiles: allow", word, 1)), "/")
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if c.Policy.Quantiles != allowed || strings.Contains(c.Policy.Text(), "\nquantiles: allow\n") != allowed {
			t.Errorf("%s: %t, %q", word, c.Policy.Quantiles, c.Policy.Text())
		}
	}
	if _, problems := Parse([]byte(strings.Replace(text, "quantiles: allow", "quantiles: yes", 1)), "/"); len(problems) != 1 || problems[0].Path != "policy.quantiles" {
		t.Errorf("%v", problems)
	}
}
