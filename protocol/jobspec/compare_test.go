package jobspec

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestVariationsNameEachFieldThatDiffers(t *testing.T) {
	text, err := os.ReadFile("testdata/churn.yaml")
	if err != nil {
		t.Fatal(err)
	}
	a, c := example(t)
	if got := Variations(a, a); len(got) != 0 {
		t.Errorf("a job differs from itself: %v", got)
	}
	changed := strings.NewReplacer("l2: 1.0", "l2: 3", "seed: 7", "seed: 18446744073709551614", "age, ", "").Replace(string(text))
	for _, old := range []string{"l2: 1.0", "seed: 7", "age, "} {
		if !strings.Contains(string(text), old) {
			t.Fatalf("the example lacks %q", old)
		}
	}
	b := mustResolve(t, mustSpec(t, changed), c, Options{F: 1, Members: a.Participants, Seats: 4})
	var got []string
	for _, v := range Variations(a, b, a) {
		got = append(got, fmt.Sprintf("%s: %s", v.Path, strings.Join(v.Values, " | ")))
	}
	want := []string{
		"program.features[age]: true |  | true",
		"program.model.l2: 1 | 3 | 1",
		"seed: 7 | 18446744073709551614 | 7",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// The order of features is no difference.
	a.Features[0], a.Features[1] = a.Features[1], a.Features[0]
	again, _ := example(t)
	if got := Variations(a, again); len(got) != 0 {
		t.Errorf("the order of features: %v", got)
	}
}
