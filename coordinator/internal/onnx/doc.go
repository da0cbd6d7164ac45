// Package onnx writes an exported model as an ONNX graph, with its pipeline: raw columns in, logits and probabilities out.
//
// The graph has an input of shape [N, 1] for each column of a record, the offset's too, by its name: a number (NaN: missing) in
// the chosen precision, or a string ("": missing). A date has an input for each of its features instead: NAME.days, a number, and
// parts such as NAME.month, a string ("7", of weekdays "monday"); the caller takes them from the date, in UTC. Its outputs are probability and logit, [N, 1]; for a label with K classes
// probabilities and logits, [N, K], in the contract's order, and label, [N, 1]: the predicted class, a string. It uses operators of
// ai.onnx 17 and ai.onnx.ml 2 (LabelEncoder) only. A graph can't refuse a record: a missing value of a column that may not be
// missing counts as 0 (the mean, where the number is standardised), or as the category "other".
package onnx
