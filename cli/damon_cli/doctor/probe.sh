# Prints what `kubectl damon doctor` judges a node by. It reads, and writes nothing.
#
#   sh probe.sh ROOT     ROOT: / on the node itself; /host in a pod that has the node's root there
#
# "@ PATH": the lines of a file follow, each behind a space. "- PATH": it is not there. "! PATH": it
# cannot be read. "= NAME": what was looked for follows. "." is the last line.
LC_ALL=C
export LC_ALL
cd "${1:?ROOT is missing: / on the node itself, /host in a debug pod}" || exit 1
kdamonds=sys/kernel/mm/damon/admin/kdamonds

show() {
	for path; do
		if text=$(cat "$path" 2>&1); then
			echo "@ $path"
			printf '%s\n' "$text" | sed 's/^/ /'
		else
			case $text in
			*'No such file'* | *'Not a directory'*) echo "- $path" ;;
			*) echo "! $path" ;;
			esac
		fi
	done
}

containers() {
	echo "= $1"
	find sys/fs/cgroup -maxdepth 9 -path '*kubepods*' ! -path '*conmon*' -name "$1" \
		-exec grep -H . {} + 2>/dev/null |
		sed -n 's/^.*[0-9a-f]\{64\}[^/]*\/[^/]*:\(.*\)$/\1/p' | sort | uniq -c | sed 's/^/ /'
}

echo '= damon-probe'
echo ' 1'
echo '= sys/kernel/mm'
ls sys/kernel/mm 2>/dev/null | sed 's/^/ /'
show proc/sys/kernel/osrelease proc/meminfo proc/swaps
show sys/fs/cgroup/cgroup.controllers sys/fs/cgroup/memory/notify_on_release
echo '= memory.reclaim'
ls sys/fs/cgroup/memory.reclaim 2>/dev/null | sed 's/^/ /'
show sys/kernel/mm/transparent_hugepage/enabled sys/kernel/mm/lru_gen/enabled
show sys/module/zswap/parameters/enabled sys/block/zram*/mm_stat
for module in damon_reclaim damon_lru_sort damon_stat; do
	show sys/module/$module/parameters/enabled
done
show $kdamonds/nr_kdamonds
for each in $kdamonds/[0-9]*; do
	show "$each/state" "$each/contexts/0/schemes/0/watermarks/high" \
		"$each/contexts/0/schemes/0/watermarks/mid" "$each/contexts/0/schemes/0/watermarks/low"
done
echo '= page size'
grep -m 1 KernelPageSize proc/self/smaps 2>/dev/null | sed 's/^/ /'
echo '= symbols'
grep -oE ' (_s?text|damon_va_[a-z_]+)$' proc/kallsyms 2>/dev/null | sort -u
show proc/1/comm
echo '= kdamond threads'
find proc -maxdepth 2 -name comm -exec grep -H '^kdamond' {} + 2>/dev/null | sed 's/^/ /'
containers memory.swap.max
containers memory.high
echo .
