/*
 * A stand-in for NVIDIA's management library (NVML, libnvidia-ml.so.1), for machines without a card: as much of it as
 * jupyter_tfcontainer asks, so that NVIDIA's own Python bindings run. It is not NVIDIA's, and knows no card. What it
 * tells stands in the text file that the variable NVML_STANDIN names:
 *
 *     driver 535.104.05
 *     card 8 6 25438126080 GPU-5f0e0b6e NVIDIA GeForce RTX 3090
 *     fail nvmlDeviceGetUUID 15 1
 *
 * A card's line has its compute capability, memory, UUID and name. A line that begins with "fail" makes a function
 * return an error (nvmlReturn_t), for one card only if its index follows. Calls are kept in a file named alike with
 * ".calls" behind it. Compiled with -DWITHOUT_name it lacks a function, as old drivers do.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9 };

enum { LINE = 256, MOST = 64, ANY = -1 };

typedef struct { int major, minor; unsigned long long memory; char uuid[LINE], name[LINE]; } Card;
typedef struct { int code, card; char function[LINE]; } Failure;
typedef struct { unsigned long long total, free, used; } Memory;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int initialised;
static char driver[LINE];
static Card cards[MOST];
static Failure failures[MOST];
static int card_count, failure_count;

/* Read what the machine is to be; 0 if there is no such file. */
static int read_machine(void)
{
    const char *path = getenv("NVML_STANDIN");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[4 * LINE];
    if (!file)
        return 0;
    card_count = failure_count = 0;
    driver[0] = '\0';
    while (fgets(line, sizeof line, file)) {
        Card *card = &cards[card_count];
        Failure *failure = &failures[failure_count];
        failure->card = ANY;
        if (card_count < MOST && sscanf(line, "card %d %d %llu %255s %255[^\n]", &card->major, &card->minor,
                                        &card->memory, card->uuid, card->name) == 5)
            card_count++;
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

int nvmlDeviceGetMemoryInfo(Card *card, Memory *memory)
{
    int code = ask(__func__, index_of(card));
    memory->total = memory->free = card->memory;
    memory->used = 0;
    return code;
}

#ifndef WITHOUT_nvmlDeviceGetCudaComputeCapability
int nvmlDeviceGetCudaComputeCapability(Card *card, int *major, int *minor)
{
    int code = ask(__func__, index_of(card));
    *major = card->major;
    *minor = card->minor;
    return code;
}
#endif
