// SPDX-License-Identifier: GPL-2.0
/*
 * In place of libFuzzer: every file of the folders that are named, once. A child does
 * it, so that there is somebody to say which input ended it, however that came.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define INPUT_MAX (1 << 20)

struct progress {
	size_t inputs;
	char path[4096];	/* what is looked at */
};

static void replay_file(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = malloc(INPUT_MAX);
	size_t len;

	CHECK(file && data);
	len = fread(data, 1, INPUT_MAX, file);
	CHECK(feof(file));
	fclose(file);
	LLVMFuzzerTestOneInput(data, len);
	free(data);
}

static void replay_folder(const char *name, struct progress *progress)
{
	struct dirent **list;
	int count = scandir(name, &list, NULL, alphasort);

	CHECK(count >= 0);
	for (int i = 0; i < count; i++) {
		const char *file = list[i]->d_name;

		if (file[0] != '.') {
			CHECK(snprintf(progress->path, sizeof(progress->path), "%s/%s",
				       name, file) < (int)sizeof(progress->path));
			replay_file(progress->path);
			progress->inputs++;
		}
		free(list[i]);
	}
	free(list);
}

int main(int argc, char **argv)
{
	struct progress *progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *slash = strrchr(argv[0], '/');
	int status;
	pid_t pid;

	CHECK(progress != MAP_FAILED);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		for (int i = 1; i < argc; i++)
			replay_folder(argv[i], progress);
		return 0;
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	printf("replayed %zu inputs: %s\n", progress->inputs, slash ? slash + 1 : argv[0]);
	if (status)
		printf("the input was %s\n", progress->path);
	return status || !progress->inputs;
}
