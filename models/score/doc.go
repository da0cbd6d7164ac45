// Package score gives the probabilities of an exported model: it reads the model's JSON document (SPEC §12), takes raw records
// through the fitted pipeline, and tells which column of a record added what. It needs little beside the standard library (packages
// pipeline and hashing, and with it xxh3), so that a program of one's own may use it.
//
//	m, err := score.Parse(document)
//	row, err := m.Row(map[string]score.Value{"age": score.Number(41), "country": score.Text("DE"), "basket_90d": {}})
//	p, err := m.Score(row)
//
// A model whose label has several classes has a probability of each: m.Classify(row).
//
// A Model is immutable and may be used concurrently.
//
// [R10] S. Rendle, "Factorization Machines", ICDM 2010.
package score
