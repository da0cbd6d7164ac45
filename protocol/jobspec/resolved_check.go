package jobspec

import (
	"fmt"
	"slices"
)

// check reports what is wrong with a job that was read from JSON.
func (r *Resolved) check(report report) {
	if !nameText.MatchString(r.Name) {
		report(show(r.Name)+" is not a name", "", "name")
	}
	private := r.Kind == KindPrivate
	if (r.Kind != KindExact && !private) || r.Mode != ModeSealed && !(private && r.Mode == ModeNoised) {
		report("a job is exact or private, and sealed or, if it is private, noised", "", "privacy")
	}
	if private != (r.Private != nil) {
		report("a private block and privacy private need each other", "", "private")
		return
	}
	for i, name := range r.Participants {
		if !nameText.MatchString(name) || (i > 0 && r.Participants[i-1] >= name) {
			report("participant "+show(name)+" is not a name or not in order", "", item("participants", i))
		}
	}
	n := len(r.Participants)
	inRange(report, "program.contributors", int64(r.Contributors), int64(minCohort(r.Mode, 0)), maxContributors)
	if n > 0 && n != r.Contributors {
		report(fmt.Sprintf("%d participants are not the program's %d contributors", n, r.Contributors), "", "participants")
	}
	if r.Mode != ModeNoised {
		// A majority is the least that holds at f = 0; CheckCommittee knows f.
		inRange(report, "committee.of", int64(r.Committee.Of), 1, maxSeats)
		inRange(report, "committee.threshold", int64(r.Committee.Threshold), int64(r.Committee.Of/2+1), int64(r.Committee.Of))
	}
	inRange(report, "round_timeout_ms", r.RoundTimeout.Milliseconds(), minRoundTimeout.Milliseconds(), maxRoundTimeout.Milliseconds())
	inRange(report, "expires_ms", r.Expires.Milliseconds(), r.RoundTimeout.Milliseconds(), maxExpires.Milliseconds())
	inRange(report, "program.bits", int64(r.Bits), minBits, maxBits)
	inRange(report, "program.max_rows", r.MaxRows, 1, min(maxRows, laneRows(min(max(r.Bits, minBits), maxBits))))
	r.checkEvaluation(report)
	r.checkGroups(report)
	m := r.Model
	tolerable := m.Tolerance > 0 && m.Tolerance < 1
	if private {
		tolerable = m.Tolerance == 0
		r.checkQuorum(report)
		r.checkSampling(report)
	} else {
		r.checkModel(report)
		if m.Sampling != nil {
			report("sampling is for private jobs", "", "program.model.sampling")
		}
	}
	r.checkWeighting(report, "program.weighting", false)
	r.checkStart(report, "program.start")
	inRange(report, "program.model.max_rounds", m.MaxRounds, 1, maxTrainRounds)
	r.checkEnding(report)
	if !(m.L2 >= 0 && m.L2 <= maxL2) || negativeZero(m.L2) || !tolerable {
		report(fmt.Sprintf("l2 %v or tolerance %v is out of range", m.L2, m.Tolerance), "", "program.model")
	}
	if most := r.maxOutputs(); len(r.Features) == 0 || len(r.Features) > most || r.Outputs() > most {
		report(fmt.Sprintf("%d features with %d output columns are none or more than %d", len(r.Features), r.Outputs(), most), "", "program.features")
		return
	}
	seen := make(map[string]bool)
	for i, f := range r.Features {
		path := item("program.features", i)
		if seen[f.Name] {
			report("feature "+show(f.Name)+" appears twice", "", path)
		}
		seen[f.Name] = true
		f.check(report, path, private)
	}
	r.checkSketched(report, "program.features")
	r.checkCrosses(report)
}

func (r *Resolved) checkEvaluation(report report) {
	h := r.Holdout
	byColumn := h.Column != "" || h.Equals != ""
	switch {
	case h.Tenths < 0 || h.Tenths > 9 || h.From < 0 || h.From > 10-h.Tenths || (h.Tenths == 0 && h.From != 0) || (byColumn && h.Tenths != 0):
		report(fmt.Sprintf("hold-out of %d tenths from number %d is not within 0 to 9, or beside a column", h.Tenths, h.From), "", "holdout")
	case byColumn:
		if !columnText.MatchString(h.Column) {
			report(show(h.Column)+" is not a column name", "", "holdout.column")
		}
		checkValue(report, "holdout.equals", h.Equals)
	}
	next := 0
	for _, name := range r.Metrics {
		i := slices.Index(metricNames(), name)
		if i < next {
			report("metric "+show(name)+" is unknown or not in order", "", "program.evaluate.metrics")
			return
		}
		next = i + 1
		if !contains(r.metrics(), name) {
			report("metric "+show(name)+" is not one of the model's", "", "program.evaluate.metrics")
		}
	}
	if h.None() != (len(r.Metrics) == 0) {
		report("a hold-out and metrics need each other", "", "program.evaluate.metrics")
	}
}

func (f *Feature) check(report report, path string, private bool) {
	if f.Kind == Cross {
		return // see checkCrosses
	}
	if len(f.Of) > 0 || f.Kind == Number && f.HashBuckets != 0 {
		report("only crosses are of columns, and only they and categories have buckets", "", path)
	}
	col := Column{Name: f.Name, Kind: f.Kind, Min: f.Min, Max: f.Max, Outside: OutsideClip, Values: f.Values, Buckets: f.HashBuckets, Other: OtherKeep}
	if col.Open() {
		col.Other = ""
	}
	if !columnText.MatchString(f.Name) {
		report(show(f.Name)+" is not a column name", "", child(path, "name"))
	}
	f.checkDerived(report, path, private)
	if f.Kind == kindBuckets || f.Kind == kindDatePart {
		f.checkIndicator(report, path)
		return
	}
	if f.Kind != Number && f.Kind != Category {
		report(show(string(f.Kind))+" is not one of number, category", "", child(path, "kind"))
		return
	}
	col.check(report, path)
	switch {
	case private:
		if f.Scale != (f.Kind == Number) {
			report("in a private job numbers are scaled, and only they", "", child(path, "scale"))
		}
		f.checkPrivateNumber(report, path)
	case f.Kind == Category:
		inRange(report, child(path, "min_count"), f.MinCount, 1, maxMinCount)
	case !(f.Clip > 0 && f.Clip <= maxClip):
		report(fmt.Sprintf("clip %v is not above 0 and at most %v", f.Clip, maxClip), "", child(path, "clip"))
	}
	if f.Kind == Number && f.Log1p && (f.Min <= -1 || log1pVanishes(f.Min, f.Max)) {
		report(fmt.Sprintf("log1p needs a range above -1 that it keeps apart, not %v to %v", f.Min, f.Max), "", child(path, "min"))
	}
	f.checkIndicator(report, path)
}

func (f *Feature) checkIndicator(report report, path string) {
	if f.MissingIndicator && !f.Nullable {
		report("a column that is never missing has no indicator", "", child(path, "missing_indicator"))
	}
}

func inRange(report report, path string, n, low, high int64) {
	if n < low || n > high {
		report(fmt.Sprintf("%d is not within %d to %d", n, low, high), "", path)
	}
}

// Conforms checks that a job asks of a contract's columns what the contract
// declares: its digest, row bound, ranges, values and splits. A participant calls
// it with its own copy of the contract before it approves. The error says what
// differs.
func (r *Resolved) Conforms(c *Contract) error {
	if r.Contract.String() != c.ID() || r.ContractDigest != c.Digest() {
		return fmt.Errorf("the job is for contract %s (%x), not for %s (%x)", r.Contract, r.ContractDigest[:8], c.ID(), short(c.Digest()))
	}
	if r.MaxRows != c.MaxRows {
		return fmt.Errorf("the job says max_rows %d, the contract says %d", r.MaxRows, c.MaxRows)
	}
	if r.Model.recommends() == c.HasLabel() {
		return fmt.Errorf("a model that recommends needs a contract without a label, and any other one with a label: this is a %s", r.Model.Type)
	}
	if !slices.Equal(r.Classes, c.Label.Classes) {
		return fmt.Errorf("the job says the label's classes are %q, the contract says %q", r.Classes, c.Label.Classes)
	}
	if err := r.targetConforms(c); err != nil {
		return err
	}
	if err := r.Weighting.conforms(c); err != nil {
		return err
	}
	for _, f := range r.Features {
		if f.Kind == Cross {
			continue // of features that are checked
		}
		if f.Date != nil || f.Kind == kindBuckets {
			if err := f.derivedConforms(c); err != nil {
				return err
			}
			continue
		}
		col, ok := c.Column(f.Name)
		switch {
		case !ok || col.Kind != f.Kind:
			return fmt.Errorf("the job's %s column %s is not in the contract", f.Kind, f.Name)
		case f.Min != col.Min || f.Max != col.Max || f.Nullable != col.Nullable || f.HashBuckets != col.Buckets || !slices.Equal(f.Values, col.Values):
			return fmt.Errorf("the job declares column %s otherwise than the contract", f.Name)
		}
	}
	if err := r.groupsConform(c); err != nil {
		return err
	}
	if h := r.Holdout; h.Column != "" {
		if col, ok := c.Column(h.Column); !ok || col.Kind != Split || !contains(col.Values, h.Equals) {
			return fmt.Errorf("the contract has no split %s with the value %s", h.Column, show(h.Equals))
		}
	}
	return nil
}

func short(d [32]byte) []byte { return d[:8] }
