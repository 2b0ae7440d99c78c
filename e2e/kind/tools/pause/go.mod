module damon-operator.invalid/e2e/kind/tools/pause

go 1.26.0
