import Driver

Driver.main(contestants: Driver.own)
