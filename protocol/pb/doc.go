// Package pb holds the gRPC services. Its .pb.go files are generated from the .proto files by `make generate`.
package pb
