package jobspec

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var specSchema []byte

//go:embed contract.schema.json
var contractSchema []byte

// SpecSchema returns the JSON Schema (2020-12) of a job spec, for editors. A spec
// that it accepts can still have problems: ParseSpec and Resolve decide.
func SpecSchema() []byte { return slices.Clone(specSchema) }

// ContractSchema returns the JSON Schema (2020-12) of a contract, for editors.
func ContractSchema() []byte { return slices.Clone(contractSchema) }
