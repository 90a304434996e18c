#!/usr/bin/env bash
# Ceteris on Slurm: a Ray cluster over this allocation, with a token of its own, and one command on it.
#
#   sbatch --nodes=4 docs/cluster/slurm.sh run recipe.yaml --pool /shared/shards --store /shared/.ceteris
#
# Pool, store, virtual environment and HOME lie on a file system that every node mounts under the same path. Never run on a real cluster.
#SBATCH --job-name=ceteris
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@120

set -euo pipefail
if [ $# -eq 0 ]; then
  echo "usage: sbatch slurm.sh VERB ARGUMENTS...  (a verb of curate that takes --ray)" >&2
  exit 2
fi
: "${CETERIS_VENV:=$SLURM_SUBMIT_DIR/.venv}"
# shellcheck disable=SC1091
source "$CETERIS_VENV/bin/activate"

export OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 RAY_USAGE_STATS_ENABLED=0

# A token that only this user can read; without it a node of the cluster answers nobody.
secret=$(mktemp -d "$HOME/.ceteris-ray-XXXXXX")
finish() {
  mapfile -t steps < <(jobs -p)
  [ "${#steps[@]}" -eq 0 ] || kill "${steps[@]}" 2>/dev/null || true
  rm -rf "$secret"
}
trap finish EXIT
(umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$secret/token")
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$secret/token"

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 20000))   # so that two allocations on one node do not meet
cpus=${SLURM_CPUS_PER_TASK:-1}

# --block: the step ends when Ray does, so Slurm ends Ray with the allocation.
srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap \
  ray start --head --node-ip-address="$address" --port="$port" --num-cpus="$cpus" --include-dashboard=false --block &
sleep 10
if [ "${#nodes[@]}" -gt 1 ]; then
  others=$(IFS=,; echo "${nodes[*]:1}")
  srun --nodes=$((${#nodes[@]} - 1)) --ntasks=$((${#nodes[@]} - 1)) --nodelist="$others" --overlap \
    ray start --address="$address:$port" --num-cpus="$cpus" --block &
fi
for _ in $(seq 60); do
  alive=$(python -c 'import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level="error")
print(sum(node["Alive"] for node in ray.nodes()))' "$address:$port" 2>/dev/null || echo 0)
  [ "$alive" -ge "${#nodes[@]}" ] && break
  sleep 5
done
echo "ray: $alive of ${#nodes[@]} nodes at $address:$port"

curate "$@" --ray "$address:$port"
