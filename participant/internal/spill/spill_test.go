package spill

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tributary/models/dataset"
)

func open(t *testing.T) *Spill {
	t.Helper()
	s, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fill appends n values in pieces of all sizes, to a spill and to the heap.
func fill[T dataset.Value](t *testing.T, s *Spill, n int, value func(i int) T) {
	t.Helper()
	kept, heap := dataset.Build[T](s, n), dataset.Build[T](nil, n).Grow(n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := 0; i < n; {
		var piece []T
		for range min(1+r.IntN(1<<r.IntN(14)), n-i) {
			piece = append(piece, value(i))
			i++
		}
		kept.Append(piece...)
		heap.Append(piece...)
	}
	a, err := kept.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	b, err := heap.Freeze()
	if err != nil || a == nil || b == nil {
		t.Fatal(a == nil, b == nil, err)
	}
	for range 2 { // what is done with is readable again
		if !slices.Equal(a, b) {
			t.Fatalf("%d values of %T differ from those of the heap", n, value(0))
		}
		dataset.Done(s, a)
	}
	next := 0
	for from, run := range dataset.Runs(s, a) {
		if from != next || !slices.Equal(run, b[from:from+len(run)]) {
			t.Fatalf("a run of %T from %d", value(0), from)
		}
		next += len(run)
	}
	if next != n {
		t.Fatalf("runs over %d of %d values", next, n)
	}
	runtime.KeepAlive(s)
}

func TestArraysAreThoseOfTheHeap(t *testing.T) {
	s := open(t)
	for _, n := range []int{0, 1, 4095, 4096, 100_000, 1_000_000} {
		fill(t, s, n, func(i int) float64 { return float64(i) / 3 })
		fill(t, s, n, func(i int) int32 { return int32(-i) })
		fill(t, s, n, func(i int) uint8 { return uint8(i) })
		fill(t, s, n, func(i int) bool { return i%3 == 0 })
		fill(t, s, n, func(i int) [16]byte { return [16]byte{byte(i), byte(i >> 8), 15: byte(i >> 16)} })
	}
}

// Columns are written side by side, and are shorter than they might be: they must not run into each other.
func TestArraysGrowBesideEachOther(t *testing.T) {
	s := open(t)
	var all []*dataset.Builder[int32]
	for range 20 {
		all = append(all, dataset.Build[int32](s, 1<<31))
	}
	for i := range 50_000 {
		for c, b := range all {
			b.Append(int32(c*1_000_000 + i))
		}
	}
	for c, b := range all {
		values, err := b.Freeze()
		if err != nil || len(values) != 50_000 {
			t.Fatal(len(values), err)
		}
		for i, v := range values {
			if v != int32(c*1_000_000+i) {
				t.Fatalf("column %d, row %d: %d", c, i, v)
			}
		}
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(s.f.Fd()), &stat); err != nil || stat.Blocks*512 > 64<<20 {
		t.Errorf("20 arrays of 200 kB take %d bytes of disk: %v", stat.Blocks*512, err)
	}
}

func TestArrayBeyondItsLimitIsAnError(t *testing.T) {
	s := open(t)
	first, second := dataset.Build[int32](s, 10_000), dataset.Build[int32](s, 10_000)
	second.Append(7)
	for range 30_000 {
		first.Append(1)
	}
	if _, err := first.Freeze(); !errors.Is(err, ErrKeep) {
		t.Errorf("an array of more values than said: %v", err)
	}
	if values, err := second.Freeze(); err != nil || !slices.Equal(values, []int32{7}) {
		t.Errorf("its neighbour: %v, %v", values, err)
	}
}

// A disk that is full is an error that names the directory and a remedy, and neither a signal nor a wrong number. The limit of a
// process' files stands for it: /dev/full can't be mapped, and a small disk needs privileges.
func TestFullDiskIsAnError(t *testing.T) {
	if dir := os.Getenv("TRIBUTARY_TEST_FULL"); dir != "" {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		s, err := New(dir)
		if err != nil {
			t.Fatal(err)
		}
		b := dataset.Build[float64](s, 1<<20)
		for range 1 << 20 {
			b.Append(1)
		}
		_, err = b.Freeze()
		fmt.Printf("freeze: %t %v\n", errors.Is(err, ErrKeep), err)
		return
	}
	dir := t.TempDir()
	c := exec.Command(os.Args[0], "-test.run", "^TestFullDiskIsAnError$")
	c.Env = append(os.Environ(), "TRIBUTARY_TEST_FULL="+dir)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"freeze: true rows can't be kept on disk", dir, "hint:"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in: %s", want, out)
		}
	}
}

func TestDirectoryThatCantBeWrittenIsAnError(t *testing.T) {
	if _, err := New(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrKeep) {
		t.Error(err)
	}
}

// Nothing that has a name is ever in the directory, so that nothing is left there when the process is killed.
func TestNothingIsLeftAfterKill(t *testing.T) {
	if dir := os.Getenv("TRIBUTARY_TEST_SPILLER"); dir != "" {
		s, err := New(dir)
		if err != nil {
			t.Fatal(err)
		}
		b := dataset.Build[float64](s, 1<<20)
		for i := range 1 << 20 {
			b.Append(float64(i))
		}
		values, err := b.Freeze()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("kept", len(values))
		time.Sleep(time.Minute)
		runtime.KeepAlive(s)
		return
	}
	dir := t.TempDir()
	c := exec.Command(os.Args[0], "-test.run", "^TestNothingIsLeftAfterKill$")
	c.Env = append(os.Environ(), "TRIBUTARY_TEST_SPILLER="+dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "kept 1048576\n" {
		t.Errorf("%q: %v", line, err)
	}
	empty(t, dir)
	c.Process.Kill()
	c.Wait()
	empty(t, dir)
}

func empty(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("in the directory: %v, %v", entries, err)
	}
}

// The file of systems that can't make one without a name is private, and has none after its creation either; one that a killed process
// left in between goes.
func TestNamedFileLosesItsName(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".spill-left"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := createNamed(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	empty(t, dir)
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	unnamed, err := create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unnamed.Close()
	if info, err := unnamed.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// A spill's disk space comes back once nothing references it, and not before: one that was made beside it needs its arrays.
func TestDiskComesBackAtTheEnd(t *testing.T) {
	s := open(t)
	b := dataset.Build[int32](s, 1<<16)
	for i := range 1 << 16 {
		b.Append(int32(i))
	}
	values, err := b.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.Beside()
	if err != nil {
		t.Fatal(err)
	}
	file := s.file
	s, b = nil, nil
	for range 5 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	if values[1<<16-1] != 1<<16-1 { // a crash, if it was unmapped
		t.Error("values changed")
	}
	runtime.KeepAlive(other)
	other, values = nil, nil
	closed := func() bool { _, err := file.f.Stat(); return errors.Is(err, os.ErrClosed) }
	for range 500 {
		if runtime.GC(); closed() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the file is still open")
}

func TestConcurrentUse(t *testing.T) {
	s := open(t)
	b := dataset.Build[float64](s, 1<<18)
	for i := range 1 << 18 {
		b.Append(float64(i))
	}
	values, err := b.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for round := range 20 {
				for from, run := range dataset.Runs(s, values[k*100:]) {
					for i, v := range run {
						if v != float64(k*100+from+i) {
							t.Errorf("round %d: %g at %d", round, v, k*100+from+i)
							return
						}
					}
				}
				own := dataset.Build[int32](s, 10)
				own.Append(int32(k))
				if got, err := own.Freeze(); err != nil || got[0] != int32(k) {
					t.Error(got, err)
				}
			}
		})
	}
	wg.Wait()
}
