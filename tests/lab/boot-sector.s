# A boot sector that reads everything behind it into memory, and enters the kernel there by its PVH entry: 32-bit protected mode, flat
# segments, paging and interrupts off, EBX with the address of a struct hvm_start_info (Linux, include/xen/interface/hvm/start_info.h).
#
# Assembled with --defsym LOAD_AT=, READS= (of 128 KiB each), ENTRY= and START_INFO=, and linked at 0x7c00, where BIOS loads it. The disk
# is read by programmed I/O (ATA-6, 28-bit READ SECTOR(S)).
    .set SECTORS_PER_READ, 256
    .set DATA, 0x1f0
    .set SECTOR_COUNT, 0x1f2
    .set STATUS, 0x1f7
    .set CONTROL, 0x3f6

    .code16
    .globl start
start:
    cli
    inb $0x92, %al
    orb $2, %al         # bit 1: addresses above 1 MiB
    andb $0xfe, %al     # bit 0 would reset the machine
    outb %al, $0x92
    xorw %ax, %ax
    movw %ax, %ds
    lgdt table
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmp $8, $flat

    .code32
flat:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    cld
    movw $CONTROL, %dx
    movb $2, %al        # no interrupts from the disk
    outb %al, %dx
    movl $LOAD_AT, %edi
    movl $1, %esi       # sector
    movl $READS, %ebp
read:
    movw $SECTOR_COUNT, %dx
    xorl %eax, %eax     # 0 means 256
    outb %al, %dx
    movl %esi, %eax
    incw %dx
    outb %al, %dx       # bits 0 to 7, 8 to 15 and 16 to 23 of the sector's number
    incw %dx
    shrl $8, %eax
    outb %al, %dx
    incw %dx
    shrl $8, %eax
    outb %al, %dx
    incw %dx
    shrl $8, %eax
    orb $0xe0, %al      # first disk; the sector's number is a number
    outb %al, %dx
    incw %dx
    movb $0x20, %al     # READ SECTOR(S)
    outb %al, %dx
    movl $SECTORS_PER_READ, %ebx
sector:
    movw $STATUS, %dx
0:  inb %dx, %al
    testb $0x80, %al    # busy
    jnz 0b
    testb $8, %al       # has data
    jz 0b
    movw $DATA, %dx
    movl $256, %ecx
    rep insw
    decl %ebx
    jnz sector
    addl $SECTORS_PER_READ, %esi
    decl %ebp
    jnz read
    movl $START_INFO, %ebx
    movl $ENTRY, %eax
    jmp *%eax

    .balign 8
descriptors:
    .quad 0
    .quad 0x00cf9b000000ffff    # code: all of 4 GiB
    .quad 0x00cf93000000ffff    # data
table:
    .word . - descriptors - 1
    .long descriptors

    .org 510
    .word 0xaa55
