package engine

import (
	"context"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"potluck/workers/protocol"
)

// Hardware describes this machine without anything that names it or its user. What cannot be told is 0 or missing; it takes 3 s at most
// for each tool that is asked.
func Hardware(ctx context.Context) protocol.Hardware {
	h := protocol.Hardware{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), RAMMB: memoryMB(ctx)}
	if table, err := ask(ctx, "nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"); err == nil {
		h.GPUs = nvidiaGPUs(table, h.RAMMB)
	}
	switch runtime.GOOS {
	case "linux":
		h.GPUs = append(h.GPUs, amdGPUs("/sys/class/drm")...)
	case "darwin":
		if brand, err := ask(ctx, "sysctl", "-n", "machdep.cpu.brand_string"); err == nil && strings.HasPrefix(brand, "Apple") {
			h.GPUs = append(h.GPUs, appleGPU(brand, h.RAMMB))
		}
	}
	return h
}

// GPULoads reads how busy the GPUs are, in the order of Hardware's; nil when no tool can tell.
func GPULoads(ctx context.Context) []protocol.GPULoad {
	var loads []protocol.GPULoad
	if table, err := ask(ctx, "nvidia-smi", "--query-gpu=utilization.gpu,temperature.gpu,memory.used", "--format=csv,noheader,nounits"); err == nil {
		for _, row := range rows(table, 3) {
			loads = append(loads, protocol.GPULoad{Busy: number(row[0]), Temperature: number(row[1]), VRAMUsedMB: number(row[2])})
		}
	}
	if runtime.GOOS == "linux" {
		for _, card := range amdCards("/sys/class/drm") {
			loads = append(loads, protocol.GPULoad{Busy: number(read(card, "gpu_busy_percent")), VRAMUsedMB: number(read(card, "mem_info_vram_used")) >> 20})
		}
	}
	return loads
}

// ask runs a tool of the system for at most 3 s: a hung driver must not stop the worker.
func ask(ctx context.Context, tool string, args ...string) (string, error) {
	path, err := exec.LookPath(tool)
	if err != nil {
		// Both are outside PATH at times: under WSL, and in services on Windows.
		for _, place := range []string{"/usr/lib/wsl/lib/" + tool, filepath.Join(os.Getenv("SystemRoot"), "System32", tool+".exe")} {
			if found, e := exec.LookPath(place); e == nil {
				path, err = found, nil
				break
			}
		}
	}
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, path, args...)
	c.WaitDelay = time.Second
	b, err := c.Output()
	return strings.TrimSpace(string(b)), err
}

func rows(table string, fields int) (out [][]string) {
	r := csv.NewReader(strings.NewReader(table))
	r.TrimLeadingSpace, r.FieldsPerRecord, r.LazyQuotes = true, -1, true
	all, _ := r.ReadAll()
	for _, row := range all {
		if len(row) == fields && len(out) < 16 {
			out = append(out, row)
		}
	}
	return out
}

// number reads a whole number; "[N/A]" and the like are 0.
func number(s string) int {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// nvidiaGPUs reads name and MiB. Chips that share the machine's memory report no size of their own.
func nvidiaGPUs(table string, ramMB int) (gpus []protocol.GPU) {
	for _, row := range rows(table, 2) {
		vram := number(row[1])
		if vram == 0 {
			vram = ramMB
		}
		gpus = append(gpus, protocol.GPU{Name: strings.TrimSpace(row[0]), VRAMMB: vram})
	}
	return gpus
}

func amdCards(root string) (cards []string) {
	all, _ := filepath.Glob(filepath.Join(root, "card[0-9]*", "device"))
	for _, card := range all {
		// card0-DP-1 and the like are its connectors
		if !strings.Contains(filepath.Base(filepath.Dir(card)), "-") && read(card, "vendor") == "0x1002" {
			cards = append(cards, card)
		}
	}
	return cards
}

func amdGPUs(root string) (gpus []protocol.GPU) {
	for _, card := range amdCards(root) {
		name := read(card, "product_name")
		if name == "" {
			name = "AMD GPU"
		}
		vram := number(read(card, "mem_info_vram_total")) >> 20
		if vram <= 2048 { // an APU: the pool it may take from the machine's memory is what counts
			vram = max(vram, number(read(card, "mem_info_gtt_total"))>>20)
		}
		gpus = append(gpus, protocol.GPU{Name: name, VRAMMB: vram})
	}
	return gpus
}

func read(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// appleGPU: the system lets the GPU have two thirds of the memory, three quarters on larger machines.
func appleGPU(brand string, ramMB int) protocol.GPU {
	g := protocol.GPU{Name: brand, VRAMMB: ramMB * 2 / 3}
	if ramMB > 36<<10 {
		g.VRAMMB = ramMB * 3 / 4
	}
	return g
}

func memoryMB(ctx context.Context) int {
	switch runtime.GOOS {
	case "linux":
		return meminfoMB(read("/proc", "meminfo"))
	case "darwin":
		s, _ := ask(ctx, "sysctl", "-n", "hw.memsize")
		return number(s) >> 20
	case "windows":
		s, _ := ask(ctx, "powershell", "-NoProfile", "-NonInteractive", "-Command", "(Get-CimInstance Win32_ComputerSystem).TotalPhysicalMemory")
		return number(s) >> 20
	}
	return 0
}

func meminfoMB(meminfo string) int {
	for line := range strings.Lines(meminfo) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			return number(f[1]) >> 10
		}
	}
	return 0
}
