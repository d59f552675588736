fn main() -> std::io::Result<()> {
    std::fs::write(&snakemake.output[0], format!("{}\n", snakemake.params.word))
}
