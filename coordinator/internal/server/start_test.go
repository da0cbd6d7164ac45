package server

import (
	"encoding/hex"
	"strings"
	"testing"

	"tributary/protocol/pb"
)

// startsFrom resolves a job that starts from a completed one's model, and none from another digest.
func startsFrom(t *testing.T, o pb.OperatorClient, info *pb.JobInfo) {
	t.Helper()
	validate := func(digest string) *pb.ValidateReply {
		reply, err := o.ValidateJob(t.Context(), &pb.JobRequest{SpecYaml: []byte(strings.Replace(specYAML, "model: {", "model: {warm_start: "+digest+", ", 1)), ContractYaml: []byte(contractYAML)})
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	state := hex.EncodeToString(info.GetState())
	if reply := validate(state); len(reply.GetProblems()) > 0 || !strings.Contains(string(reply.GetResolvedJson()), `"start":{"model":"`+state+`","coefficients":[`) {
		t.Errorf("%v %s", reply.GetProblems(), reply.GetResolvedJson())
	}
	if p := validate(strings.Repeat("ab", 32)).GetProblems(); len(p) != 1 || p[0].GetPath() != "model.warm_start" || !strings.Contains(p[0].GetMessage(), "no completed job") {
		t.Errorf("%v", p)
	}
}
