# When memory is full, the kernel ends and the server stays.
open("/proc/self/oom_score_adj", "w").write("1000")
