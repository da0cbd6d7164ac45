//go:build !linux

package spill

import "os"

func create(dir string) (*os.File, error) { return createNamed(dir) }
