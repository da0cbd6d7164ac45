package cli

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tributary/participant/internal/store"
)

const minJobDigits = 6

type jobView struct {
	Job      string    `json:"job"`
	Name     string    `json:"name"`
	Status   string    `json:"status"`
	Decision string    `json:"decision"`
	Why      string    `json:"why"`
	Source   string    `json:"source"`
	Seen     time.Time `json:"seen"`
	Expires  time.Time `json:"expires"`
	Round    uint64    `json:"round"`
	Step     uint32    `json:"step"`
	Text     string    `json:"approval_text"`
}

func (a *app) jobs() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "jobs",
		Short: "List the jobs of this node, and what is asked for where a job waits for you",
		Args:  exactly(),
		RunE: func(*cobra.Command, []string) error {
			_, s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			jobs, err := s.Jobs(false)
			if err != nil {
				return err
			}
			views, text := []jobView{}, ""
			for _, j := range jobs {
				v := view(j)
				views = append(views, v)
				text += fmt.Sprintf("%s  %-9s %-24s %s\n", v.Job[:12], v.Status, v.Name, oneLine(v.Why))
				if j.Status == store.Pending || all {
					text += "\n" + indent(v.Text) + "\n"
				}
				if j.Status == store.Pending && j.Decision == "" {
					text += fmt.Sprintf("  tributary-participant approve %s\n  tributary-participant deny %s\n\n", v.Job[:12], v.Job[:12])
				}
			}
			if len(jobs) == 0 {
				text = "No jobs yet.\n"
			}
			return a.print(map[string]any{"jobs": views}, text)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "show the approval text of every job, not only of those that wait")
	return c
}

func view(j *store.Job) jobView {
	v := jobView{Job: hex.EncodeToString(j.Job[:]), Name: j.Name, Status: string(j.Status), Decision: j.Decision, Why: j.Why, Source: j.Source,
		Seen: j.Seen.UTC(), Expires: j.Expires.UTC(), Text: j.Text}
	if j.Record != nil {
		v.Round, v.Step = j.Record.Round, j.Record.Step
	}
	if (j.Decision == store.DecideApprove || j.Decision == store.DecideDeny) && j.Status == store.Pending {
		v.Why = j.Decision + " was given here; the running node carries it out"
	}
	return v
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n  ") + "\n"
}

// decide makes `approve` and `deny`. Both only write to the node's database: the running node does the rest.
func (a *app) decide(verb string) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   verb + " JOB",
		Short: map[string]string{"approve": "Approve a job that waits for you", "deny": "Refuse a job that waits for you"}[verb],
		Long:  "JOB is the job's digest, 6 or more of its first digits, or its name. The running node carries the decision out within a second, or when it is started.",
		Args:  exactly("JOB"),
		RunE: func(_ *cobra.Command, args []string) error {
			_, s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			j, err := find(s, args[0])
			if err != nil {
				return err
			}
			if j.Status != store.Pending {
				return &failure{Exit: exitRefused, Code: "decided", Field: "job", Message: fmt.Sprintf("job %s is %s; it doesn't wait for a decision", j.Name, j.Status), Hint: "`tributary-participant jobs` shows what waits"}
			}
			if err := s.Decide(j.Job, verb, reason); err != nil {
				return err
			}
			j.Decision = verb
			return a.print(view(j), fmt.Sprintf("Job %s (%x): %s. The running node sends it within a second, or when it is started.\n", j.Name, j.Job[:6], verb))
		},
	}
	if verb == "deny" {
		c.Flags().StringVar(&reason, "reason", "", "for this node's own records; it isn't sent")
	}
	return c
}

// find finds a job by digits or by name; a pending one comes first if several have the name.
func find(s *store.Store, typed string) (*store.Job, error) {
	jobs, err := s.Jobs(false)
	if err != nil {
		return nil, err
	}
	var byDigits, byName, waiting []*store.Job
	for _, j := range jobs {
		if len(typed) >= minJobDigits && strings.HasPrefix(hex.EncodeToString(j.Job[:]), strings.ToLower(typed)) {
			byDigits = append(byDigits, j)
		}
		if j.Name == typed {
			byName = append(byName, j)
			if j.Status == store.Pending {
				waiting = append(waiting, j)
			}
		}
	}
	for _, found := range [][]*store.Job{byDigits, waiting, byName} {
		if len(found) == 1 {
			return found[0], nil
		}
	}
	if len(byDigits)+len(byName) > 1 {
		return nil, &failure{Exit: exitUsage, Code: "ambiguous", Field: "job", Message: fmt.Sprintf("%q is more than one job", typed), Hint: "give more digits of its digest"}
	}
	return nil, &failure{Exit: exitUsage, Code: "not-found", Field: "job", Message: fmt.Sprintf("there is no job %q here", typed), Hint: "`tributary-participant jobs` lists them; a job appears once the running node has fetched it"}
}
