package kinds

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// An imageContent is what makes an image the same one wherever it is. Its id does not: an engine with containerd's image store has
// another for each form of archive.
type imageContent struct {
	Layers  []string // the digests of its layers, uncompressed
	Created time.Time
	Config  imageConfig
}

// An imageConfig is how containers of an image run. The lower half is no part of the OCI specification.
type imageConfig struct {
	User, WorkingDir, StopSignal string
	Env, Entrypoint, Cmd         []string
	ExposedPorts, Volumes        map[string]struct{}
	Labels                       map[string]string

	Healthcheck    *imageHealthcheck
	OnBuild, Shell []string
}

type imageHealthcheck struct {
	Test                                          []string
	Interval, Timeout, StartPeriod, StartInterval int64
	Retries                                       int
}

// newImageContent reads what the configuration of an image says, and what an engine says of one. Both may leave out what is empty.
func newImageContent(layers []string, created, config json.RawMessage) (imageContent, error) {
	c := imageContent{Layers: slices.Clip(layers)}
	var when string
	if len(created) > 0 {
		if err := json.Unmarshal(created, &when); err != nil {
			return c, fmt.Errorf("its time of creation: %w", err)
		}
	}
	c.Created, _ = time.Parse(time.RFC3339Nano, when) // absent and unreadable ones are the zero time, as docker has it
	if len(config) > 0 {
		if err := json.Unmarshal(config, &c.Config); err != nil {
			return c, fmt.Errorf("its configuration: %w", err)
		}
	}
	return c, nil
}

// differs says in what an image on a host is another than that of the archive; "" if in nothing.
func (c imageContent) differs(host imageContent) string {
	switch {
	case len(host.Layers) == 0 && len(c.Layers) > 0:
		return "it was never unpacked"
	case !slices.Equal(c.Layers, host.Layers):
		return "other layers"
	case !c.Config.equal(host.Config):
		return "another configuration"
	case !c.Created.Equal(host.Created):
		return "created at another time"
	}
	return ""
}

func (c imageConfig) equal(host imageConfig) bool {
	return c.User == host.User && c.WorkingDir == host.WorkingDir && c.StopSignal == host.StopSignal &&
		slices.Equal(c.Env, host.Env) && slices.Equal(c.Entrypoint, host.Entrypoint) && slices.Equal(c.Cmd, host.Cmd) &&
		maps.Equal(c.ExposedPorts, host.ExposedPorts) && maps.Equal(c.Volumes, host.Volumes) && maps.Equal(c.Labels, host.Labels) &&
		// containerd's store did not keep these in its first years.
		(host.Healthcheck == nil || reflect.DeepEqual(c.Healthcheck, host.Healthcheck)) &&
		(host.OnBuild == nil || slices.Equal(c.OnBuild, host.OnBuild)) && (host.Shell == nil || slices.Equal(c.Shell, host.Shell))
}

// An imagePlatform is what an image runs on, in the words of OCI.
type imagePlatform struct {
	OS           string
	Architecture string
	Variant      string
}

func (p imagePlatform) String() string {
	text := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		text += "/" + p.Variant
	}
	return text
}

// parsePlatform reads OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT.
func parsePlatform(text string) (imagePlatform, bool) {
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return imagePlatform{}, false
	}
	return imagePlatform{parts[0], parts[1], strings.Join(parts[2:], "")}, true
}

// runs tells whether a host of platform p runs an image for another by itself. Variants are left to the engine, which has its own order of
// them, and so are images that name no platform.
func (p imagePlatform) runs(image imagePlatform) bool {
	if image.Architecture == "" || p.Architecture == "" {
		return true
	}
	if p.OS != image.OS && image.OS != "" {
		return false
	}
	return p.Architecture == image.Architecture ||
		p.Architecture == "amd64" && image.Architecture == "386" ||
		p.Architecture == "arm64" && image.Architecture == "arm"
}

// machinePlatform is the platform of a Linux machine by the name that uname -m has for it; empty if it is not known.
func machinePlatform(machine string) imagePlatform {
	architectures := map[string]string{
		"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386", "i386": "386",
		"ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64",
	}
	return imagePlatform{OS: "linux", Architecture: architectures[machine]}
}
