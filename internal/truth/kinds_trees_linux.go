package truth

func (g *generator) archive()     { g.file() }
func (g *generator) sync()        { g.directory() }
func (g *generator) git()         { g.line() }
func (g *generator) sourceBuild() { g.commandStep() }
