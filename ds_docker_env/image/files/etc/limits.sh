# shellcheck shell=dash
# Tells programs the processors and the memory of this container instead of the machine's. To be sourced.
# https://docs.kernel.org/admin-guide/cgroup-v2.html and, for the other paths, admin-guide/cgroup-v1
processors=$(
    exec 2>/dev/null
    machine=$(OMP_NUM_THREADS='' OMP_THREAD_LIMIT='' nproc)
    # "150000 100000" in microseconds; without a limit "max 100000" or "-1 100000".
    old=/sys/fs/cgroup/cpu
    limit=$(cat /sys/fs/cgroup/cpu.max || paste -d ' ' $old/cpu.cfs_quota_us $old/cpu.cfs_period_us || echo max)
    quota=${limit% *} period=${limit#* }
    case $quota in max | -1) echo "$machine" && exit ;; esac
    share=$(((quota + period - 1) / period))
    echo $((share < machine ? share : machine))
)
# Python reads its variable from 3.13 on; limits.pth does so for older ones.
export PYTHON_CPU_COUNT="${PYTHON_CPU_COUNT:-$processors}" LOKY_MAX_CPU_COUNT="${LOKY_MAX_CPU_COUNT:-$processors}"
export POLARS_MAX_THREADS="${POLARS_MAX_THREADS:-$processors}" NUMBA_NUM_THREADS="${NUMBA_NUM_THREADS:-$processors}"
# On disk, instead of /dev/shm, which is memory, or src.
export JOBLIB_TEMP_FOLDER="${JOBLIB_TEMP_FOLDER:-/tmp}" DASK_TEMPORARY_DIRECTORY="${DASK_TEMPORARY_DIRECTORY:-/tmp}"

# In KiB. A process that asks for more than nine tenths gets an error instead of being killed.
memory=$(
    exec 2>/dev/null
    read -r _ machine _ </proc/meminfo
    limit=$(cat /sys/fs/cgroup/memory.max || cat /sys/fs/cgroup/memory/memory.limit_in_bytes || echo max)
    case $limit in max) echo "$machine" && exit ;; esac
    echo $((limit / 1024 < machine ? limit / 1024 : machine))
)
[ "$(ulimit -S -d)" != unlimited ] || ulimit -S -d $((memory * 9 / 10))
unset processors memory
