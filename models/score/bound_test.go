package score_test

import (
	"testing"

	"tributary/models/optim"
	"tributary/models/score"
)

// What a job may end with can be read.
func TestTheLongestExportIsRead(t *testing.T) {
	if score.MaxDocument < optim.MaxExport {
		t.Errorf("%d bytes are read, %d may be exported", score.MaxDocument, optim.MaxExport)
	}
}
