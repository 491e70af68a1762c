/*
 * A stand-in for NVIDIA's management library (NVML, libnvidia-ml.so.1), for machines without a card: as much of it as
 * jupyter_tfcontainer asks, so that NVIDIA's own Python bindings run. It is not NVIDIA's, and knows no card. What it
 * tells stands in the text file that the variable NVML_STANDIN names:
 *
 *     driver 535.104.05
 *     card 8 6 25438126080 GPU-5f0e0b6e NVIDIA GeForce RTX 3090
 *     use 0 4294967296 35
 *     process 0 4711 1073741824
 *     fail nvmlDeviceGetUUID 15 1
 *
 * A card's line has its compute capability, memory, UUID and name. What follows "use" is a card's index, how much of
 * its memory is in use, and for how many per cent of the time it computed; what follows "process" is a card's index,
 * a process and the memory that it has there, -1 for what the driver does not know. These, and what fails, are read
 * again whenever they are asked for, so that they can change while a program runs. A line that begins with "fail" makes a function
 * return an error (nvmlReturn_t), for one card only if its index follows. Calls are kept in a file named alike with
 * ".calls" behind it. Compiled with -DWITHOUT_name it lacks a function, as old drivers do.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9 };

enum { LINE = 256, MOST = 64, ANY = -1 };

typedef struct {
    int major, minor;
    unsigned long long memory, used;
    unsigned int busy;
    char uuid[LINE], name[LINE];
} Card;
typedef struct { int card; unsigned int pid; unsigned long long memory; } Process;
typedef struct { int code, card; char function[LINE]; } Failure;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned int gpu, memory; } Utilization;
/* Of versions 2 and 3. */
typedef struct { unsigned int pid; unsigned long long memory; unsigned int gpu_instance, compute_instance; } ProcessInfo;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int initialised;
static char driver[LINE];
static Card cards[MOST];
static Failure failures[MOST];
static Process processes[MOST];
static int card_count, failure_count, process_count;

/* Read what the machine is to be; 0 if there is no such file. */
static int read_machine(void)
{
    const char *path = getenv("NVML_STANDIN");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[4 * LINE];
    if (!file)
        return 0;
    card_count = failure_count = process_count = 0;
    driver[0] = '\0';
    while (fgets(line, sizeof line, file)) {
        Card *card = &cards[card_count];
        Failure *failure = &failures[failure_count];
        Process *process = &processes[process_count];
        unsigned long long used;
        unsigned int busy;
        int index;
        failure->card = ANY;
        if (card_count < MOST && sscanf(line, "card %d %d %llu %255s %255[^\n]", &card->major, &card->minor,
                                        &card->memory, card->uuid, card->name) == 5) {
            card->used = card->busy = 0;
            card_count++;
        } else if (sscanf(line, "use %d %llu %u", &index, &used, &busy) == 3 && index >= 0 && index < card_count) {
            cards[index].used = used;
            cards[index].busy = busy;
        } else if (process_count < MOST
                   && sscanf(line, "process %d %u %lld", &process->card, &process->pid, (long long *)&process->memory)
                       == 3)
            process_count++;
        else if (failure_count < MOST
                 && sscanf(line, "fail %255s %d %d", failure->function, &failure->code, &failure->card) >= 2)
            failure_count++;
        else
            sscanf(line, "driver %255s", driver);
    }
    fclose(file);
    return 1;
}

/* Keep a call in mind; its error, if it is to fail. */
static int call(const char *function, int card)
{
    const char *path = getenv("NVML_STANDIN");
    char calls[4096];
    int number;
    if (path) {
        snprintf(calls, sizeof calls, "%s.calls", path);
        FILE *file = fopen(calls, "a");
        if (file) {
            fprintf(file, "%s\n", function);
            fclose(file);
        }
    }
    for (number = 0; number < failure_count; number++)
        if (!strcmp(failures[number].function, function)
            && (failures[number].card == ANY || failures[number].card == card))
            return failures[number].code;
    return SUCCESS;
}

/* A library may have neither function that begins. */
__attribute__((unused)) static int initialise(const char *function)
{
    int code = DRIVER_NOT_LOADED;
    pthread_mutex_lock(&lock);
    if (initialised || read_machine()) {
        code = call(function, ANY);
        if (code == SUCCESS)
            initialised++;
    }
    pthread_mutex_unlock(&lock);
    return code;
}

/* What stands before the answer of every other function. */
static int ask(const char *function, int card)
{
    int code;
    pthread_mutex_lock(&lock);
    code = call(function, card);
    if (!initialised)
        code = UNINITIALIZED;
    pthread_mutex_unlock(&lock);
    return code;
}

static int give(const char *text, char *buffer, unsigned int length)
{
    if (strlen(text) >= length)
        return INSUFFICIENT_SIZE;
    strcpy(buffer, text);
    return SUCCESS;
}

static int index_of(const Card *card)
{
    return (int)(card - cards);
}

#ifndef WITHOUT_nvmlInitWithFlags
int nvmlInitWithFlags(unsigned int flags)
{
    (void)flags;
    return initialise(__func__);
}
#endif

#ifndef WITHOUT_nvmlInit_v2
int nvmlInit_v2(void)
{
    return initialise(__func__);
}
#endif

int nvmlShutdown(void)
{
    int code = ask(__func__, ANY);
    pthread_mutex_lock(&lock);
    if (initialised)
        initialised--;
    pthread_mutex_unlock(&lock);
    return code;
}

const char *nvmlErrorString(int code)
{
    static char words[LINE];
    snprintf(words, sizeof words, "Error %d of the stand-in", code);
    return words;
}

int nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    int code = ask(__func__, ANY);
    return code ? code : give(driver, version, length);
}

int nvmlDeviceGetCount_v2(unsigned int *count)
{
    int code = ask(__func__, ANY);
    *count = (unsigned int)card_count;
    return code;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, Card **card)
{
    int code = ask(__func__, (int)index);
    if (!code && index >= (unsigned int)card_count)
        return INVALID_ARGUMENT;
    *card = &cards[index];
    return code;
}

int nvmlDeviceGetName(Card *card, char *name, unsigned int length)
{
    int code = ask(__func__, index_of(card));
    return code ? code : give(card->name, name, length);
}

int nvmlDeviceGetUUID(Card *card, char *uuid, unsigned int length)
{
    int code = ask(__func__, index_of(card));
    return code ? code : give(card->uuid, uuid, length);
}

/* What stands before the answer of a function that tells what a card does now. */
static int ask_now(const char *function, const Card *card)
{
    pthread_mutex_lock(&lock);
    read_machine();
    pthread_mutex_unlock(&lock);
    return ask(function, index_of(card));
}

int nvmlDeviceGetMemoryInfo(Card *card, Memory *memory)
{
    int code = ask_now(__func__, card);
    memory->total = card->memory;
    memory->used = card->used;
    memory->free = card->memory - card->used;
    return code;
}

int nvmlDeviceGetUtilizationRates(Card *card, Utilization *utilization)
{
    int code = ask_now(__func__, card);
    utilization->gpu = card->busy;
    utilization->memory = 0;
    return code;
}

__attribute__((unused)) static int give_processes(const char *function, const Card *card, unsigned int *count,
                                                  ProcessInfo *infos)
{
    unsigned int room = *count, found = 0;
    int number, code = ask_now(function, card);
    for (number = 0; number < process_count; number++)
        if (processes[number].card == index_of(card)) {
            if (found < room)
                infos[found] = (ProcessInfo){processes[number].pid, processes[number].memory, 0, 0};
            found++;
        }
    *count = found;
    return code ? code : found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

#ifndef WITHOUT_nvmlDeviceGetComputeRunningProcesses_v2
int nvmlDeviceGetComputeRunningProcesses_v2(Card *card, unsigned int *count, ProcessInfo *infos)
{
    return give_processes(__func__, card, count, infos);
}
#endif

#ifndef WITHOUT_nvmlDeviceGetComputeRunningProcesses_v3
int nvmlDeviceGetComputeRunningProcesses_v3(Card *card, unsigned int *count, ProcessInfo *infos)
{
    return give_processes(__func__, card, count, infos);
}
#endif

#ifndef WITHOUT_nvmlDeviceGetCudaComputeCapability
int nvmlDeviceGetCudaComputeCapability(Card *card, int *major, int *minor)
{
    int code = ask(__func__, index_of(card));
    *major = card->major;
    *minor = card->minor;
    return code;
}
#endif
