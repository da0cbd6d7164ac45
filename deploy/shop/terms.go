package shop

import "fmt"

// Contract is what the organisations agreed on.
const Contract = `version: 1
name: shop-customers
revision: 1
key: customer_id
max_rows: 1000000
label: {column: churned, positive: "yes", negative: "no"}
columns:
  age:            {type: number, min: 16, max: 110}
  tenure_days:    {type: number, min: 0, max: 6000}
  basket_90d:     {type: number, min: 0, max: 5000, nullable: true, outside: reject}
  visits_30d:     {type: number, min: 0, max: 400}
  returns_90d:    {type: number, min: 0, max: 100}
  discount_share: {type: number, min: 0, max: 1}
  country:        {type: category, values: [DE, FR, NL, PL, AT], other: keep}
  device:         {type: category, values: [mobile, desktop, tablet]}
  channel:        {type: category, values: [search, social, email, partner, direct]}
  loyalty:        {type: category, values: [none, silver, gold]}
  fold:           {type: split, values: [train, test]}
`

// Spec is the data scientist's job: a committee with threshold t of m.
func Spec(name string, t, m int) string {
	return fmt.Sprintf(`version: 1
name: %s
contract: shop-customers@1
features:
  - {columns: [age, discount_share], transform: standardize}
  - {columns: [tenure_days, visits_30d, returns_90d], transform: [log1p, standardize]}
  - {columns: [basket_90d], transform: [log1p, standardize], missing: indicator}
  - {columns: [country, device, channel, loyalty], transform: one_hot}
model:
  type: logistic_regression
  l2: 1.0
  solver: newton
  max_rounds: 10
  tolerance: 1.0e-8
evaluate:
  holdout: {column: fold, equals: test}
  metrics: [auc, log_loss, accuracy]
privacy: exact
run:
  mode: sealed
  participants: all
  committee: {threshold: %d, of: %d}
  round_timeout: 2m
`, name, t, m)
}

// Config is the organisation's participant.yaml without name, coordinator and data directory.
func (o *Organisation) Config() string {
	config := `policy: {contracts: [shop-customers@1], privacy: [exact, private], modes: [sealed], min_cohort: 3, approve: automatic}
data:
  - contract: shop-customers@1
    contract_file: shop-customers.yaml
    id: customers
`
	if !o.German {
		return config + `    source: {csv: customers.csv, missing: ["", "NA"]}
    where: [{column: consent, in: ["true"]}]
`
	}
	return config + `    source: {csv: customers.csv.gz, separator: ";", missing: ["", "NA"]}
    columns: {customer_id: kunde, tenure_days: kunde_seit, country: land, churned: weg}
    values: {churned: {"1": "yes", "0": "no"}}
    where: [{column: einwilligung, in: ["true"]}]
`
}

// PrivateSpec is the same model as a private job: every opened sum carries noise for (ε, 1e-5) in all.
func PrivateSpec(name, epsilon string, minParticipants, t, m int, timeout string) string {
	return fmt.Sprintf(`version: 1
name: %s
contract: shop-customers@1
features:
  - {columns: [age, discount_share], transform: scale}
  - {columns: [tenure_days, visits_30d, returns_90d], transform: [log1p, scale]}
  - {columns: [basket_90d], transform: [log1p, scale], missing: indicator}
  - {columns: [country, device, channel, loyalty], transform: one_hot}
model:
  type: logistic_regression
  l2: 1.0
  solver: dp_gradient_descent
  max_rounds: 12
evaluate:
  holdout: {column: fold, equals: test}
  metrics: [auc, log_loss, accuracy]
privacy: {unit: record, epsilon: "%s", delta: "1e-5"}
run:
  mode: sealed
  participants: all
  min_participants: %d
  committee: {threshold: %d, of: %d}
  round_timeout: %s
`, name, epsilon, minParticipants, t, m, timeout)
}
