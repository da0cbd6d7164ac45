package spill

import (
	"os"

	"golang.org/x/sys/unix"
)

// create makes a file that never has a name, where the file system can.
func create(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, unix.O_TMPFILE|unix.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return createNamed(dir)
	}
	return f, nil
}
