package cli

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"tributary/coordinator/internal/evaluation"
	"tributary/protocol/pb"
)

// shownItems is how many items `model show` lists: those with the most users.
const shownItems = 20

// recommender is what model show needs of an exported matrix factorisation.
type recommender struct {
	Feedback string  `json:"feedback"`
	Solver   string  `json:"solver"`
	Factors  int     `json:"factors"`
	Alpha    float64 `json:"alpha"`
	Item     string  `json:"item"`
	Rating   string  `json:"rating"`
	Private  bool    `json:"private"`
	Pairs    int64   `json:"training_pairs"`
	Users    int64   `json:"training_users"`
	Items    []item  `json:"items"`
}

type item struct {
	Value  string    `json:"value"`
	Users  int64     `json:"users"`
	Factor []float64 `json:"factor"`
	Bias   *float64  `json:"bias"`
}

func (r *recommender) show(w io.Writer, m *exported, q quality, j *pb.JobInfo) {
	learnt := 0
	for _, i := range r.Items {
		if i.Factor != nil {
			learnt++
		}
	}
	feedback := fmt.Sprintf("implicit, alpha %g", r.Alpha)
	switch {
	case r.Rating != "":
		feedback = "explicit, ratings " + r.Rating
	case r.Solver != "":
		feedback = "implicit, by " + r.Solver
	case r.Private:
		feedback = "implicit, all pairs alike"
	}
	rows := [][]string{{"model", fmt.Sprintf("%s, %d factors, l2 %g", m.Type, r.Factors, m.L2)}, {"feedback", feedback}, {"job", hex.EncodeToString(j.GetJob())},
		{"name", j.GetName()}, {"state", hex.EncodeToString(j.GetState())}}
	if j.GetStatus() == "completed" {
		rows = append(rows, []string{"solver", q.verdict()})
	} else {
		rows = append(rows, []string{"solver", "the job is " + j.GetStatus() + ": this is the model so far, not evaluated"})
	}
	items := []string{"items", fmt.Sprintf("%d of %d values of %s; the others have too few users", learnt, len(r.Items), r.Item)}
	if r.Private {
		rows = append(rows, []string{"training pairs", fmt.Sprintf("noised: about %d of %d users, who weigh less the more items they have", r.Pairs, r.Users)}, items)
	} else {
		rows = append(rows, []string{"training pairs", fmt.Sprintf("%d of %d users", r.Pairs, r.Users)}, items, []string{"objective", fmt.Sprintf("%.6f", j.GetObjective())})
	}
	table(w, "", append(rows, q.ranking()...))
	fmt.Fprintln(w)
	listed := slices.Clone(r.Items)
	slices.SortStableFunc(listed, func(a, b item) int { return cmp.Compare(b.Users, a.Users) })
	var lines [][]string
	for _, i := range listed[:min(shownItems, len(listed))] {
		line := []string{i.Value, fmt.Sprint(i.Users), "", ""}
		if i.Bias != nil {
			line[2] = fmt.Sprintf("%.6g", *i.Bias)
		}
		if i.Factor == nil {
			line[3] = "too few users"
		}
		lines = append(lines, line)
	}
	table(w, "ITEM | USERS | BIAS | ", lines)
	if left := len(listed) - len(lines); left > 0 {
		fmt.Fprintf(w, "… and %d more: `tributary model export` has them all, with their factors\n", left)
	}
}

// ranking are the held-out pairs or users of a recommender, and how well it does on them; nothing of other models.
func (q quality) ranking() (rows [][]string) {
	switch {
	case q.TopK == 0:
		return nil
	case q.HeldOut > 0:
		rows = append(rows, []string{"held-out pairs", fmt.Sprintf("%d; %d users have relevant ones", q.HeldOut, q.Users)})
	case q.Users > 0:
		rows = append(rows, []string{"held-out users", fmt.Sprintf("noised: about %d", q.Users)})
	default:
		return nil
	}
	for _, v := range []struct {
		name  string
		value *float64
	}{{fmt.Sprintf("recall@%d", q.TopK), q.Recall}, {fmt.Sprintf("NDCG@%d", q.TopK), q.NDCG}, {fmt.Sprintf("MAP@%d", q.TopK), q.MAP}, {"coverage", q.Coverage}, {"RMSE", q.RMSE}} {
		if v.value != nil {
			rows = append(rows, []string{v.name, evaluation.Number(v.value)})
		}
	}
	return rows
}
