package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"tributary/protocol/pb"
)

func TestAliasShowsWhatCountsAndWhatWasTakenBack(t *testing.T) {
	m := &pb.ModelAlias{Alias: "live", Job: bytes.Repeat([]byte{1}, 32), Name: "may", Promotion: 2, History: []*pb.Promotion{
		{Promotion: 3, Job: bytes.Repeat([]byte{3}, 32), Name: "june", By: "bob", AtMs: 3000, WithdrawnBy: "anna", WithdrawnMs: 4000, WithdrawnReason: "worse"},
		{Promotion: 2, Job: bytes.Repeat([]byte{1}, 32), Name: "may", By: "anna", AtMs: 2000, Reason: "better AUC"},
		{Promotion: 1, Job: bytes.Repeat([]byte{2}, 32), Name: "april", By: "anna", AtMs: 1000},
	}}
	var text bytes.Buffer
	viewAlias(m).show(&text)
	for i, want := range []string{"ALIAS", "june|bob|rolled back by anna at 1970-01-01 00:00:04Z: worse", "010101010101|may|better AUC|now", "april|-|before"} {
		line := strings.Split(text.String(), "\n")[i]
		for _, word := range strings.Split(want, "|") {
			if !strings.Contains(line, word) {
				t.Errorf("no %q in %s", word, line)
			}
		}
	}
	data, err := json.Marshal(viewAlias(m))
	if err != nil || !strings.Contains(string(data), `"withdrawn_by":"anna"`) || !strings.Contains(string(data), `"name":"may"`) {
		t.Errorf("%s, %v", data, err)
	}
}
