// Package scoring applies an exported model at the participant: to a CSV or Parquet file, and to what programs on the same machine ask over
// HTTP or gRPC. Records and scores stay on this machine; nothing of them is logged.
package scoring
