module moltghost.dev/probe

go 1.27.0
