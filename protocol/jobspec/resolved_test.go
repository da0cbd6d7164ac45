package jobspec

import (
	"errors"
	"strings"
	"testing"
)

func TestParseResolvedRefusesWhatIsNotTheOneEncoding(t *testing.T) {
	r, _ := example(t)
	text := string(r.Canonical())
	for name, test := range map[string][2]string{
		"space":                 {`{"version":1,"name"`, `{"version":1, "name"`},
		"trailing":              {`"accuracy"]}}}`, `"accuracy"]}}} `},
		"second value":          {`"accuracy"]}}}`, `"accuracy"]}}}{}`},
		"unknown key":           {`"seed":7`, `"seed":7,"sed":7`},
		"duplicate key":         {`"seed":7`, `"seed":7,"seed":7`},
		"key's case":            {`"seed":7`, `"Seed":7`},
		"order":                 {`"threshold":3,"of":4`, `"of":4,"threshold":3`},
		"missing key":           {`"seed":7,`, ``},
		"number's form":         {`"l2":1,`, `"l2":1.0,`},
		"negative zero":         {`"l2":1,`, `"l2":-0,`},
		"escape":                {`"churn-2026q4"`, `"\u0063hurn-2026q4"`},
		"version":               {`{"version":1,"name"`, `{"version":2,"name"`},
		"program's version":     {`"program":{"version":1`, `"program":{"version":2`},
		"private":               {`"privacy":"exact"`, `"privacy":"private"`},
		"noised":                {`"mode":"sealed"`, `"mode":"noised"`},
		"mode missing":          {`"mode":"sealed"`, `"mode":""`},
		"digest short":          {`"contract_digest":"75`, `"contract_digest":"`},
		"digest upper case":     {`"contract_digest":"75ef`, `"contract_digest":"75EF`},
		"contract":              {`shop-customers@1`, `shop-customers@01`},
		"participants' order":   {`"alpen-shop","nord-markt"`, `"nord-markt","alpen-shop"`},
		"participant twice":     {`"alpen-shop","nord-markt"`, `"alpen-shop","alpen-shop"`},
		"participants' number":  {`"alpen-shop","nord-markt"`, `"alpen-shop"`},
		"participants null":     {`["alpen-shop","nord-markt","ost-handel","west-mode"]`, `null`},
		"two contributors":      {`"contributors":4`, `"contributors":2`},
		"no majority":           {`"threshold":3`, `"threshold":2`},
		"threshold above seats": {`"threshold":3`, `"threshold":5`},
		"timeout":               {`"round_timeout_ms":120000`, `"round_timeout_ms":999`},
		"timeout wraps":         {`"round_timeout_ms":120000`, `"round_timeout_ms":18446744073709`},
		"expires":               {`"expires_ms":2592000000`, `"expires_ms":2592000001`},
		"expires early":         {`"expires_ms":2592000000`, `"expires_ms":119999`},
		"tenths":                {`"tenths":2`, `"tenths":10`},
		"tenths and column":     {`"column":"","equals":""`, `"column":"fold","equals":"test"`},
		"equals alone":          {`"tenths":2,"column":"","equals":""`, `"tenths":0,"column":"","equals":"test"`},
		"holdout untold":        {`"evaluate":{"holdout":true`, `"evaluate":{"holdout":false`},
		"holdout without":       {`"metrics":["auc","log_loss","accuracy"]`, `"metrics":[]`},
		"metrics' order":        {`"auc","log_loss"`, `"log_loss","auc"`},
		"metric unknown":        {`"auc","log_loss"`, `"auc","lift"`},
		"bits":                  {`"bits":40`, `"bits":41`},
		"max_rows":              {`"max_rows":5000000`, `"max_rows":0`},
		"feature twice":         {`"name":"tenure_days"`, `"name":"age"`},
		"feature's kind":        {`{"name":"age","kind":"number"`, `{"name":"age","kind":"split"`},
		"number with values":    {`"max":110,`, `"max":110,"values":["a"],`},
		"number without min":    {`"min":16,`, ``},
		"range":                 {`"min":16,`, `"min":110,`},
		"log1p of -1":           {`"min":0,"max":10000`, `"min":-1,"max":10000`},
		"clip":                  {`"min":16,"max":110,"nullable":false,"log1p":false,"standardize":true,"clip":64`, `"min":16,"max":110,"nullable":false,"log1p":false,"standardize":true,"clip":0`},
		"indicator":             {`"nullable":true`, `"nullable":false`},
		"category without":      {`"values":["mobile","desktop","tablet"],`, ``},
		"value twice":           {`["mobile","desktop","tablet"]`, `["mobile","mobile"]`},
		"model":                 {`"logistic_regression"`, `"linear"`},
		"tolerance":             {`"tolerance":1e-8`, `"tolerance":0`},
		"no program":            {text[strings.Index(text, `,"program"`):], `}`},
	} {
		t.Run(name, func(t *testing.T) {
			edited := edit(t, text, test[0], test[1])
			if _, err := ParseResolved([]byte(edited)); !errors.Is(err, ErrNotCanonical) {
				t.Errorf("accepted or another error: %v", err)
			}
		})
	}
	if _, err := ParseResolved([]byte(text + strings.Repeat(" ", MaxDocumentBytes))); !errors.Is(err, ErrNotCanonical) {
		t.Errorf("a document over the limit: %v", err)
	}
}

func TestParseContractJSONRefusesWhatIsNotTheOneEncoding(t *testing.T) {
	_, c := example(t)
	text := string(c.Canonical())
	for name, test := range map[string][2]string{
		"version":          {`{"version":1`, `{"version":0`},
		"columns' order":   {`"name":"age"`, `"name":"zage"`},
		"column twice":     {`"name":"basket_90d"`, `"name":"age"`},
		"min of a split":   {`"type":"split",`, `"type":"split","min":0,`},
		"outside missing":  {`"outside":"reject",`, ``},
		"outside unknown":  {`"outside":"reject"`, `"outside":"drop"`},
		"other unknown":    {`"other":"keep"`, `"other":"drop"`},
		"type":             {`"type":"split"`, `"type":"fold"`},
		"bound not finite": {`"max":110`, `"max":1e999`},
		"bound -0":         {`"min":0,"max":20000`, `"min":-0,"max":20000`},
		"label alike":      {`"negative":"no"`, `"negative":"yes"`},
		"key empty":        {`"key":"customer_id"`, `"key":""`},
		"rows":             {`"max_rows":5000000`, `"max_rows":2147483649`},
		"columns null":     {text[strings.Index(text, `"columns":`):], `"columns":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			edited := edit(t, text, test[0], test[1])
			if _, err := ParseContractJSON([]byte(edited)); !errors.Is(err, ErrNotCanonical) {
				t.Errorf("accepted or another error: %v", err)
			}
		})
	}
}

func TestConformsFindsAJobThatAsksForOtherThanTheContract(t *testing.T) {
	for name, change := range map[string]func(*Resolved){
		"digest":   func(r *Resolved) { r.ContractDigest[0]++ },
		"revision": func(r *Resolved) { r.Contract.Revision++ },
		"rows":     func(r *Resolved) { r.MaxRows++ },
		"range":    func(r *Resolved) { r.Features[0].Max++ },
		"nullable": func(r *Resolved) { r.Features[0].Nullable = true },
		"values":   func(r *Resolved) { r.Features[4].Values = []string{"FR", "DE", "NL", "PL"} },
		"column":   func(r *Resolved) { r.Features[0].Name = "shoe_size" },
		"split":    func(r *Resolved) { r.Holdout = Holdout{Column: "fold", Equals: "validate"} },
		"no split": func(r *Resolved) { r.Holdout = Holdout{Column: "age", Equals: "test"} },
	} {
		r, c := example(t)
		change(r)
		if err := r.Conforms(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestDifferenceNamesTheColumn(t *testing.T) {
	text := string(read(t, "shop-customers.yaml"))
	job := mustContract(t, text)
	for name, test := range map[string]struct{ old, new, want string }{
		"max":      {"max: 110", "max: 120", "column age: the job's contract says max 110, yours says 120"},
		"min":      {"min: 16", "min: 16.5", "column age: the job's contract says min 16, yours says 16.5"},
		"outside":  {"outside: reject", "outside: clip", "column basket_90d: the job's contract says outside reject, yours says clip"},
		"nullable": {"nullable: true, ", "", "column basket_90d: the job's contract says nullable true, yours says false"},
		"other":    {", other: keep", "", "column country: the job's contract says other keep, yours says reject"},
		"type":     {"{type: split, ", "{type: category, ", "column fold: the job's contract says type split, yours says category"},
		"order":    {"[DE, FR, NL, PL]", "[FR, DE, NL, PL]", "column country: the two contracts list the values in different order"},
		"more":     {"[DE, FR, NL, PL]", "[DE, FR, NL, PL, AT]", `column country: your contract lists the value "AT", the job's does not`},
		"fewer":    {"[DE, FR, NL, PL]", "[DE, FR, NL]", `column country: the job's contract lists the value "PL", yours does not`},
		"column":   {"  visits_30d:  {type: number, min: 0, max: 1000}", "", "column visits_30d: the job's contract has it, yours does not"},
		"extra":    {"  fold:", "  shoe: {type: number, min: 0, max: 1}\n  fold:", "column shoe: your contract has it, the job's does not"},
		"label":    {`positive: "yes"`, `positive: "ja"`, `label: the job's contract says positive "yes", yours says "ja"`},
		"revision": {"revision: 1", "revision: 2", "contract: the job's contract says revision 1, yours says 2"},
		"max_rows": {"max_rows: 5000000", "max_rows: 5", "contract: the job's contract says max_rows 5000000, yours says 5"},
	} {
		got := Difference(job, mustContract(t, edit(t, text, test.old, test.new)))
		if len(got) != 1 || got[0] != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if got := Difference(job, mustContract(t, text)); got != nil {
		t.Errorf("equal contracts differ: %q", got)
	}
}

func TestDigestsAreSeparatedByDomain(t *testing.T) {
	if digest(specDomain, []byte("x")) == digest(contractDomain, []byte("x")) {
		t.Error("one digest in two domains")
	}
}
