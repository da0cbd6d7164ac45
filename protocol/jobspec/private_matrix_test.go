package jobspec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/crypto/dp"
)

// ratedPrivately is the text of a private job of ratings.
func ratedPrivately(t *testing.T) string {
	return edit(t, privateRecommender(t), "item: article, ", "item: article, rating: stars, ")
}

func TestPrivateRatingsResolveToTheGoldenDocuments(t *testing.T) {
	c := purchases(t)
	if err := validate(t, compile(t, SpecSchema()), ratedPrivately(t)); err != nil {
		t.Error(err)
	}
	r := mustResolve(t, mustSpec(t, ratedPrivately(t)), c, fourMembers())
	golden(t, "recommend-private-rated-resolved.json", string(r.Canonical())+"\n")
	golden(t, "recommend-private-rated-approval.txt", ApprovalText(ApprovalInput{Job: r, Cohort: r.Participants, F: 1}))
	checkNoisedRecommender(t, r, c, map[uint8]int{kindFit: 5 + 1 + 5, kindTrain: 5*8 + 36, kindEvaluate: 6})
	if want := []string{"recall", "ndcg", "map", "rmse"}; !cmp.Equal(r.Metrics, want) || r.Coefficients() != 5*9 || r.Model.MaxRounds != 4 {
		t.Errorf("metrics %v, %d coefficients, %d rounds", r.Metrics, r.Coefficients(), r.Model.MaxRounds)
	}
}

// A user's part of EVALUATE is clipped to what its values, of at most 1 each, can have, or to clip.
func TestPrivateEvaluationIsClippedToItsMetrics(t *testing.T) {
	for metrics, want := range map[string]struct {
		lanes int
		clips []uint64 // of a job's clip of 1, 2, 3 and 10
	}{
		"[rmse]":                    {2, []uint64{1, 2, 2, 2}},
		"[recall]":                  {2, []uint64{1, 2, 2, 2}},
		"[recall, ndcg, map]":       {4, []uint64{1, 2, 2, 2}},
		"[recall, rmse]":            {4, []uint64{1, 2, 2, 2}},
		"[recall, ndcg, map, rmse]": {6, []uint64{1, 2, 3, 3}},
	} {
		r := mustResolve(t, mustSpec(t, edit(t, ratedPrivately(t), "holdout: 0.2", "holdout: 0.2, metrics: "+metrics)), purchases(t), fourMembers())
		for i, clip := range []uint64{1, 2, 3, 10} {
			if s := r.segment(kindEvaluate, 64, clip); s.Length != want.lanes || s.Clip != 64*want.clips[i] || s.Rounding != dp.Stochastic {
				t.Errorf("%s at clip %d: %+v", metrics, clip, s)
			}
		}
	}
}

func TestParseResolvedRefusesOtherPrivateRatings(t *testing.T) {
	r := mustResolve(t, mustSpec(t, ratedPrivately(t)), purchases(t), fourMembers())
	for name, test := range map[string][2]string{
		"taken alone":    {`"explicit":true`, `"explicit":false`},
		"no scale":       {`"scale":true`, `"scale":false`},
		"a logarithm":    {`"log1p":false`, `"log1p":true`},
		"an indicator":   {`"scale":true,"missing_indicator":false`, `"scale":true,"missing_indicator":true`},
		"less noise":     {`"sigma2_local":"`, `"sigma2_local":"1`},
		"alpha":          {`"explicit":true`, `"explicit":true,"alpha":4`},
		"coverage":       {`"map",`, `"map","coverage",`},
		"too many":       {`"factors":8`, `"factors":65`},
		"another metric": {`"rmse"]`, `"mae"]`},
	} {
		text := strings.Replace(string(r.Canonical()), test[0], test[1], 1)
		if text == string(r.Canonical()) {
			t.Fatalf("%s: nothing to replace", name)
		}
		if _, err := ParseResolved([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
